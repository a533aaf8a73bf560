add_library(bearerd_warnings INTERFACE)
target_compile_options(bearerd_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-align -Wcast-qual -Wwrite-strings -Wvla
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wredundant-decls
  -Wformat=2 -Wundef -Wswitch-enum -Wconversion -Wno-sign-conversion
  -Wno-missing-field-initializers)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(bearerd_warnings INTERFACE
    -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wno-format-truncation)
endif()
if(BEARERD_WERROR)
  target_compile_options(bearerd_warnings INTERFACE -Werror)
endif()
