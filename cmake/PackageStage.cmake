# Run by cpack over what was installed into its folder, before that is packed: compressed manuals, a
# change log and the licence where and as Debian's policy wants them. gzip -n: no time of day in it.
set(root "${CPACK_TEMPORARY_DIRECTORY}")
set(doc "${root}/usr/share/doc/bearerd")
file(REMOVE "${doc}/LICENSE")
file(COPY "${CPACK_BEARERD_DEB}/copyright" DESTINATION "${doc}")
file(COPY "${CPACK_BEARERD_DEB}/changelog" DESTINATION "${doc}")
file(GLOB plain "${root}/usr/share/man/man*/*.[1-9]" "${doc}/changelog")
execute_process(COMMAND gzip -9n ${plain} COMMAND_ERROR_IS_FATAL ANY)
# Debian 12 looks for units here, and nothing else.
file(MAKE_DIRECTORY "${root}/lib")
file(RENAME "${root}/usr/lib/systemd" "${root}/lib/systemd")
file(REMOVE_RECURSE "${root}/usr/lib")
execute_process(COMMAND strip --remove-section=.comment "${root}/usr/sbin/bearerd" COMMAND_ERROR_IS_FATAL ANY)
# Folders take their mode from whoever builds, files from CMake.
execute_process(COMMAND find "${root}" -type d -exec chmod 755 {} + COMMAND_ERROR_IS_FATAL ANY)
# The same build twice is to be the same package.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  execute_process(COMMAND find "${root}" -exec touch -h -d "@$ENV{SOURCE_DATE_EPOCH}" {} + COMMAND_ERROR_IS_FATAL ANY)
endif()
