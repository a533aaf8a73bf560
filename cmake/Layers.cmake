# bearerd_layer(NAME USES layer… DOORS library…): one folder of src/ = one static library.
# USES names the layers it may include, DOORS the outside libraries it alone has the door to.
# tests/lint/layers.py checks the #include lines against the same picture.
add_library(bearerd_common INTERFACE)
target_include_directories(bearerd_common INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(bearerd_common INTERFACE
  _GNU_SOURCE BEARERD_VERSION="${PROJECT_VERSION}")
target_link_libraries(bearerd_common INTERFACE
  bearerd_warnings bearerd_hardening bearerd_sanitizers)

function(bearerd_layer name)
  cmake_parse_arguments(ARG "" "" "USES;DOORS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.c)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC bearerd_common ${ARG_USES} PRIVATE ${ARG_DOORS})
endfunction()
