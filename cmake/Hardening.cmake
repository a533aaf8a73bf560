# Compile and link flags of a program that holds other people's credentials.
# _FORTIFY_SOURCE needs optimisation, and gets in the way of the sanitizers.
add_library(bearerd_hardening INTERFACE)
target_compile_options(bearerd_hardening INTERFACE
  -fstack-protector-strong -fstack-clash-protection -fno-strict-aliasing -fPIE)
target_link_options(bearerd_hardening INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
  target_compile_options(bearerd_hardening INTERFACE -fcf-protection)
endif()
if(NOT BEARERD_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(bearerd_hardening INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -ftrivial-auto-var-init=zero)
endif()

if(BEARERD_LTO)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT BEARERD_HAS_LTO OUTPUT BEARERD_LTO_WHY LANGUAGES C)
  if(BEARERD_HAS_LTO)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  else()
    message(WARNING "no link-time optimisation: ${BEARERD_LTO_WHY}")
  endif()
endif()
