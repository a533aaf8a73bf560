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

# bearerd_page(LAYER NAME): LAYER/page/NAME.html, with its style and scripts, as a part of the layer.
function(bearerd_page layer name)
  set(from ${CMAKE_CURRENT_SOURCE_DIR}/${layer}/page)
  file(GLOB sources CONFIGURE_DEPENDS ${from}/*)
  set(to ${CMAKE_CURRENT_BINARY_DIR}/page_${name}.c)
  set(command ${PROJECT_SOURCE_DIR}/cmake/EmbedPage.cmake)
  add_custom_command(
    OUTPUT ${to}
    COMMAND ${CMAKE_COMMAND} -D FROM=${from} -D NAME=${name} -D TO=${to} -P ${command}
    DEPENDS ${command} ${sources}
    COMMENT "Embedding ${name}.html"
    VERBATIM)
  target_sources(${layer} PRIVATE ${to})
endfunction()
