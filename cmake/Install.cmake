# Where Debian would put things. Relative to the prefix: sbin, share/man, share/doc, lib/systemd,
# the places where shells look for completions.
# The sample configuration goes to /etc when the prefix is /usr or /usr/local (that is where bearerd
# looks), to PREFIX/etc otherwise, and never over one that is there already.
install(TARGETS bearerd RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(FILES docs/man/bearerd.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES docs/man/bearerd.conf.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES conf/bearerd.ini conf/reference.ini DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES conf/completion/bearerd.bash RENAME bearerd
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES conf/completion/bearerd.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY conf/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

# The rest depends on the prefix, which `cmake --install --prefix` may still change.
install(CODE "
  set(source \"${PROJECT_SOURCE_DIR}/conf\")
  set(work \"${PROJECT_BINARY_DIR}/install\")
  set(sbin \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
")
install(CODE [[
  set(etc "${CMAKE_INSTALL_PREFIX}/etc")
  if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$")
    set(etc /etc)
  endif()
  if(NOT EXISTS "$ENV{DESTDIR}${etc}/bearerd/bearerd.ini")
    file(INSTALL "${source}/service.ini" DESTINATION "${etc}/bearerd" RENAME bearerd.ini)
  endif()

  # Debian's zsh looks for what packages bring, and for what is local, under different names.
  set(zsh site-functions)
  if(CMAKE_INSTALL_PREFIX MATCHES "^/usr/?$")
    set(zsh vendor-completions)
  endif()
  file(INSTALL "${source}/completion/_bearerd"
       DESTINATION "${CMAKE_INSTALL_PREFIX}/share/zsh/${zsh}")

  file(READ "${source}/bearerd.service" unit)
  string(REPLACE "/usr/sbin/" "${sbin}/" unit "${unit}")
  string(REPLACE " /etc/bearerd" " ${etc}/bearerd" unit "${unit}")
  file(WRITE "${work}/bearerd.service" "${unit}")
  file(INSTALL "${work}/bearerd.service" "${source}/bearerd.socket"
       DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
]])
