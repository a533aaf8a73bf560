# `cpack` makes a .deb of a build: what `cmake --install` installs, arranged as Debian's policy wants it.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME bearerd)
set(CPACK_PACKAGE_VENDOR "bearerd maintainers")
set(CPACK_PACKAGE_CONTACT "bearerd maintainers <maintainers@bearerd.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "HTTP proxy that gives legacy clients OAuth 2.0")
set(CPACK_PACKAGE_DESCRIPTION
"bearerd takes plain HTTP requests on localhost from programs that cannot be
taught OAuth 2.0, finds the route for the method and path, sets an access
token with that route's scopes, and forwards the request to the API, usually
over TLS. It gets tokens by the client-credentials grant (or a login, or a
command), keeps them, renews them ahead of their expiry, and gives them to
nobody but the configured APIs.
.
The service runs as a user of its own, with nearly everything taken away.")
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # the configuration goes to /etc, not below the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/PackageStage.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(deb ${PROJECT_SOURCE_DIR}/packaging/deb)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deb}/postinst ${deb}/prerm ${deb}/postrm ${deb}/conffiles)
set(CPACK_BEARERD_DEB ${deb}) # for PackageStage.cmake
include(CPack)
