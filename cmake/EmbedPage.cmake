# cmake -D FROM=folder -D NAME=status -D TO=file.c -P EmbedPage.cmake: NAME.html with NAME.css in the
# place of "/* style */", words.js, rows.js and NAME.js in that of "/* script */", as a C array, with the Content-Security-Policy that
# lets a browser run exactly these. src/admin/page.h has the declarations.

# RFC 4648 of a string of hex digits. CMake has no base64 of its own.
function(base64_of_hex hex out)
  set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  set(text "")
  string(LENGTH "${hex}" length)
  math(EXPR last "${length} - 1")
  foreach(at RANGE 0 ${last} 6)
    string(SUBSTRING "${hex}0000" ${at} 6 digits)
    foreach(shift 18 12 6 0)
      math(EXPR place "(0x${digits} >> ${shift}) & 63")
      string(SUBSTRING "${alphabet}" ${place} 1 letter)
      string(APPEND text ${letter})
    endforeach()
  endforeach()
  # What the zeros behind the end have become.
  math(EXPR whole "(${length} * 4 + 5) / 6")
  string(SUBSTRING "${text}" 0 ${whole} text)
  math(EXPR left "(4 - ${whole} % 4) % 4")
  string(REPEAT "=" ${left} padding)
  set(${out} "${text}${padding}" PARENT_SCOPE)
endfunction()

function(source_of text out)
  string(SHA256 hash "${text}")
  base64_of_hex(${hash} hash)
  set(${out} "'sha256-${hash}'" PARENT_SCOPE)
endfunction()

# Without indentation, and lines that are blank or a comment: they are for whoever reads the sources.
function(read_source file out)
  file(READ ${FROM}/${file} text)
  string(REGEX REPLACE "\n[ \n]+" "\n" text "${text}")
  string(REGEX REPLACE "(^|\n)(//[^\n]*\n)+" "\\1" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

read_source(${NAME}.html page)
read_source(${NAME}.css style)
string(REGEX REPLACE " *([{};,]) *" "\\1" style "${style}")
set(script "")
foreach(name words rows ${NAME})
  read_source(${name}.js part)
  string(APPEND script "${part}")
endforeach()
source_of("${style}" style_source)
source_of("${script}" script_source)
string(REPLACE "/* style */" "${style}" page "${page}")
string(REPLACE "/* script */" "${script}" page "${page}")
string(HEX "${page}" bytes)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE ${TO} "// Made from ${NAME}.html by cmake/EmbedPage.cmake.
#include \"admin/page.h\"

static const unsigned char bytes[] = {${bytes}};
const struct str page_${NAME} = {(const char *)bytes, sizeof bytes};
const char page_${NAME}_policy[] =
    \"default-src 'none'; script-src ${script_source}; style-src ${style_source}; \"
    \"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \"
    \"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\";
")
