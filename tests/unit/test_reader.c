// SPDX-License-Identifier: MIT
// Each way in which stock libinih misreads a file without a word, and what the reader makes of it;
// quotes, comments, variables and include.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/config_text.h"
#include "config/expand.h"
#include "config/reader.h"
#include "config/value.h"

static void on_section(void *arg, struct config_place place, struct str kind, struct str name)
{
    if (!buf_printf(arg, "%u[%.*s|%.*s] ", place.line, STR_ARG(kind), STR_ARG(name)))
        abort();
}

static void on_bad_section(void *arg)
{
    if (!buf_append(arg, STR("[?] ")))
        abort();
}

static void on_setting(void *arg, const struct reader_setting *read)
{
    if (!buf_printf(arg, "%u%s%.*s=<%.*s>%s%.*s ", read->place.line, read->is_verbatim ? "" : "$",
                    STR_ARG(read->key), STR_ARG(read->value), read->comment.len ? ";" : "",
                    STR_ARG(read->comment)))
        abort();
}

static void on_bad_setting(void *arg, struct str key)
{
    if (!buf_printf(arg, "%.*s? ", STR_ARG(key)))
        abort();
}

// What the reader gives for a.ini; then "!" and its faults.
static char *read_all(void)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    const struct reader_handler handler = {on_section, on_bad_section, on_setting, on_bad_setting,
                                           &out};
    struct config_strings files = {0}, includes = {0};
    struct config_faults faults = {0};
    const struct reader_files read = {&files, &includes};
    reader_run(text_path("a.ini"), &handler, &read, &faults);
    char *said = text_of_faults(&faults);
    if (faults.count && !buf_printf(&out, "!%s", said))
        abort();
    mem_free(said);
    config_faults_fini(&faults);
    strings_fini(&files);
    strings_fini(&includes);
    return buf_take(&out);
}

static char *read_bytes(const char *bytes, size_t len)
{
    text_write_bytes("a.ini", bytes, len, 0600);
    char *got = read_all();
    text_remove("a.ini");
    return got;
}

struct row {
    const char *text, *want;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *got = read_bytes(rows[i].text, strlen(rows[i].text));
        assert_string_equal(got, rows[i].want);
        mem_free(got);
    }
}

static void test_structure(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", ""},
        {"\n\n; c\n# c\n  # c\n\t;\n", ""},
        {"[a]\nk = v\n", "1[a|] 2k=<v> "},
        {"[a]\nk = v", "1[a|] 2k=<v> "},                        // no newline at the end
        {"[a]\r\nk = v\r\n\r\n", "1[a|] 2k=<v> "},              // CR LF
        {"\xef\xbb\xbf[a]\nk=v\n", "1[a|] 2k=<v> "},            // byte order mark
        {"[a]\n[b]\n[a b]\n", "1[a|] 2[b|] 3[a|b] "},           // sections without settings
        {"[a]\nk=1\n[a]\nk=2\n", "1[a|] 2k=<1> 3[a|] 4k=<2> "}, // repeated ones are not merged
        {"  [ a\t b-1.x_Y ]  ; c\n", "1[a|b-1.x_Y] "},
        {"[a] # c\n", "1[a|] "},
        {"[a]\n k = v\n\tl = w\n", "1[a|] 2k=<v> 3l=<w> "}, // indentation has no meaning
        {"[a]\nk = a = b:c\n", "1[a|] 2k=<a = b:c> "},
        // what a comment says is kept: in a catalogue of scopes it is the description
        {"[a]\nk = v ; c ; d\nl = \"v ;\" ;c\nm = ;c\nn = v;c\n",
         "1[a|] 2k=<v>;c ; d 3l=<v ;>;c 4m=<>;c 5n=<v;c> "},
        {"[a]\nk =\nl=\n", "1[a|] 2k=<> 3l=<> "},
        {"[a]\nk = [b]\n", "1[a|] 2k=<[b]> "},
        {"[a]\nk = \xc3\xa9\n", "1[a|] 2k=<\xc3\xa9> "},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_faults(void **state)
{
    (void)state;
    static const struct row rows[] = {
        // what follows a broken section is nobody's
        {"[a\nk=v\n", "[?] 2k=<v> !1: the ] of the section is missing\n"},
        {"[a] k = v\n",
         "[?] !1: there is text behind the ] of the section; settings go on lines of "
         "their own\n"},
        {"[]\n", "[?] !1: the section has no name\n"},
        {"[a:b]\n", "[?] !1: a section's name is made of letters, digits, '-', '_' and '.'\n"},
        {"[a]\nb]\n", "1[a|] !2: this is no section, setting or comment: there is no \"=\"\n"},
        // libinih would split it at the colon
        {"[a]\nk: v\n", "1[a|] !2: write \"k = …\": settings are split at \"=\", not at \":\"\n"},
        {"[a]\nk:l = v\n",
         "1[a|] !2: what stands before \"=\" is no key: a key is made of letters, "
         "digits and '_', 49 at most\n"},
        // libinih would add it to the value before
        {"[a]\nk = v\n  more\nl = w\n", "1[a|] 2k=<v> 4l=<w> !3: there is no \"=\"; a value cannot "
                                        "go on in the next line: write it "
                                        "in one line (up to 8192 bytes)\n"},
        {"k = v\n[a]\n", "2[a|] !1: k stands before the first section; start one with [proxy], "
                         "[credential NAME], …\n"},
        {"[a]\n= v\n", "1[a|] !2: what stands before \"=\" is no key: a key is made of letters, "
                       "digits and '_', 49 at most\n"},
        {"[a]\n@ = 2\n", "1[a|] !2: what stands before \"=\" is no key: a key is made of letters, "
                         "digits and '_', 49 at most\n"},
        {"[a]\nk = a\rb\n", "1[a|] !2: column 6 holds a control character\n"},
        {"[a]\n# \x01\nk = \x7f\n", "1[a|] !2: column 3 holds a control character\n"
                                    "3: column 5 holds a control character\n"},
        {"[a]\ninclude = b.ini\n", "1[a|] !2: include must stand before the first section of its "
                                   "file\n"},
        // nor is it the head of the file
        {"[a\ninclude = b.ini\n", "[?] !1: the ] of the section is missing\n"
                                  "2: include must stand before the first section of its file\n"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_nul(void **state)
{
    (void)state;
    static const char text[] = "[a]\nk = a\0b\nl = 1\n";
    char *got = read_bytes(text, sizeof text - 1);
    assert_string_equal(got, "1[a|] 3l=<1> !2: column 6 holds a NUL byte; is the file saved as "
                             "UTF-16?\n");
    mem_free(got);
}

static char *repeat(const char *before, char c, size_t count, const char *after)
{
    size_t before_len = strlen(before), after_len = strlen(after);
    char *text = mem_alloc(before_len + count + after_len + 1);
    memcpy(text, before, before_len);
    memset(text + before_len, c, count);
    memcpy(text + before_len + count, after, after_len);
    return text;
}

// libinih cuts at 200 bytes and parses the remainder as a line of its own.
static void test_long_lines(void **state)
{
    (void)state;
    static const size_t lens[] = {150, 195, 196, 197, 198, 199, 200, 201, 400, 8191 - 4, 8192 - 4};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        char *text = repeat("[a]\nk = ", 'x', lens[i], "\nl = 1\n");
        char *want = repeat("1[a|] 2k=<", 'x', lens[i], "> 3l=<1> ");
        char *got = read_bytes(text, strlen(text));
        assert_string_equal(got, want);
        mem_free(got);
        mem_free(want);
        mem_free(text);
    }
    char *text = repeat("[a]\nk = ", 'x', 8193 - 4, "\nl = 1\n");
    char *got = read_bytes(text, strlen(text));
    assert_string_equal(got, "1[a|] 3l=<1> !2: the line has 8193 bytes; 8192 is the most\n");
    mem_free(got);
    mem_free(text);
    // The remainder of a cut line must not become a setting.
    text = repeat("[a]\nk = ", ' ', 250, "evil = 1\n");
    got = read_bytes(text, strlen(text));
    assert_string_equal(got, "1[a|] 2k=<evil = 1> ");
    mem_free(got);
    mem_free(text);
}

// libinih cuts section names at 49 characters, so that two long ones become one.
static void test_long_names(void **state)
{
    (void)state;
    char *text = repeat("[a ", 'n', 47, "]\n"), *want = repeat("1[a|", 'n', 47, "] ");
    char *got = read_bytes(text, strlen(text));
    assert_string_equal(got, want);
    mem_free(got);
    mem_free(want);
    mem_free(text);
    text = repeat("[a ", 'n', 48, "]\n");
    got = read_bytes(text, strlen(text));
    assert_string_equal(got, "[?] !1: the section's name is longer than 49 characters\n");
    mem_free(got);
    mem_free(text);
    text = repeat("[a]\n", 'k', 50, " = 1\n");
    got = read_bytes(text, strlen(text));
    assert_non_null(strstr(got, "!2: what stands before \"=\" is no key"));
    mem_free(got);
    mem_free(text);
}

static void test_expand(void **state)
{
    (void)state;
    static const struct row rows[] = {
        // comments
        {"v ; c", "v"},
        {"v\t;c", "v"},
        {"v;c", "v;c"},
        {"a=b; c=d", "a=b; c=d"}, // as in a Cookie field
        {"; c", ""},
        {"v # c",
         "!a comment behind a value starts with \" ;\"; if the # belongs to the value, put "
         "the value in double quotes"},
        {"# c",
         "!a comment behind a value starts with \" ;\"; if the # belongs to the value, put the "
         "value in double quotes"},
        {"v#c", "v#c"},
        {"v ; c # d", "v"},
        // quotes
        {"\" a ;b #c \"", " a ;b #c "},
        {"\"a\" ; c", "a"},
        {"\"\"", ""},
        {"\"a\"\"b\"\"\"", "a\"b\""},
        {"\"a", "!the closing double quote is missing (write \"\" for a quote within)"},
        {"\"a\"\"", "!the closing double quote is missing (write \"\" for a quote within)"},
        {"\"a\" b", "!there is text behind the closing double quote"},
        {"\"a\";b", "!there is text behind the closing double quote"},
        {"a \"b\"", "a \"b\""},
        // variables
        {"${BEARERD_T}", "a;b \"c"},
        {"x${BEARERD_T}y${BEARERD_T}", "xa;b \"cya;b \"c"},
        {"\"${BEARERD_T} ;\"", "a;b \"c ;"},
        {"${BEARERD_COMMENT}", "v ; not cut"}, // data, not syntax
        {"${BEARERD_NONE:-d}", "d"},
        {"${BEARERD_NONE:-}", ""},
        {"${BEARERD_NONE:-a:-b}", "a:-b"},
        {"${BEARERD_EMPTY:-d}", "d"},
        {"${BEARERD_EMPTY}", ""},
        {"${BEARERD_T:-d}", "a;b \"c"},
        {"$$", "$"},
        {"$${BEARERD_T}", "${BEARERD_T}"},
        {"$$$$", "$$"},
        {"a$b $", "a$b $"},
        {"${BEARERD_NONE}", "!the environment variable BEARERD_NONE is not set "
                            "(${BEARERD_NONE:-default} would give it a default)"},
        {"${BEARERD_T", "!the } behind ${ is missing; write $$ for a $"},
        {"${}", "!${…} must hold a variable's name, or NAME:-default; write $$ for a $"},
        {"${1A}", "!${…} must hold a variable's name, or NAME:-default; write $$ for a $"},
        {"${A-b}", "!${…} must hold a variable's name, or NAME:-default; write $$ for a $"},
        {"${BEARERD_LF}", "!the environment variable BEARERD_LF holds a control character"},
    };
    setenv("BEARERD_T", "a;b \"c", 1);
    setenv("BEARERD_COMMENT", "v ; not cut", 1);
    setenv("BEARERD_EMPTY", "", 1);
    setenv("BEARERD_LF", "a\nb", 1);
    unsetenv("BEARERD_NONE");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        struct err err;
        buf_init(&out, VALUE_MAX);
        bool ok = expand_value(str_of(rows[i].text), &out, &err);
        assert_int_equal(ok, rows[i].want[0] != '!');
        char *got = buf_take(&out);
        assert_string_equal(ok ? got : err.text, rows[i].want + !ok);
        mem_free(got);
    }
}

static void test_expand_ceiling(void **state)
{
    (void)state;
    char *large = repeat("", 'x', VALUE_MAX / 2 + 1, "");
    setenv("BEARERD_LARGE", large, 1);
    struct buf out;
    struct err err;
    buf_init(&out, VALUE_MAX);
    assert_true(expand_value(STR("${BEARERD_LARGE}"), &out, &err));
    assert_int_equal(out.len, VALUE_MAX / 2 + 1);
    assert_false(expand_value(STR("${BEARERD_LARGE}"), &out, &err));
    assert_non_null(strstr(err.text, "longer than 65536 bytes"));
    buf_fini(&out);
    unsetenv("BEARERD_LARGE");
    mem_free(large);
}

static void test_include(void **state)
{
    (void)state;
    char folder[256];
    snprintf(folder, sizeof folder, "%s", text_path("d"));
    assert_int_equal(mkdir(folder, 0700), 0);
    text_write("d/2.ini", "[two]\nk = 2\n");
    text_write("d/1.ini", "include = ../c.ini\n[one]\nk = 1\n"); // relative to its own folder
    text_write("d/x.txt", "[x]\n");
    text_write("c.ini", "[c]\n");
    char *got = read_bytes("include = d/*.ini\n[a]\n", 22);
    // A file's section does not reach into the file that included it.
    assert_string_equal(got, "1[c|] 2[one|] 3k=<1> 1[two|] 2k=<2> 2[a|] ");
    mem_free(got);
    static const struct row rows[] = {
        {"include = d/*.none\n[a]\n", "2[a|] "}, // a pattern may match nothing
        {"include = d/none.ini\n[a]\n",
         "2[a|] !1: include: cannot open DIR/d/none.ini: No such file "
         "or directory\n"},
        {"include = d\n", "!1: include: cannot read DIR/d: Is a directory\n"},
        {"include =\n", "!1: include: the path is empty\n"},
        {"include = ${BEARERD_D:-d}/2.ini\n", "1[two|] 2k=<2> "},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        got = read_bytes(rows[i].text, strlen(rows[i].text));
        char *dir = strstr(got, text_folder); // its name differs from run to run
        if (dir) {
            memcpy(dir, "DIR", 3);
            memmove(dir + 3, dir + strlen(text_folder), strlen(dir + strlen(text_folder)) + 1);
        }
        assert_string_equal(got, rows[i].want);
        mem_free(got);
    }
    text_remove("d/1.ini");
    text_remove("d/2.ini");
    text_remove("d/x.txt");
    text_remove("c.ini");
    assert_int_equal(rmdir(folder), 0);
}

static void test_include_cycle(void **state)
{
    (void)state;
    text_write("b.ini", "include = a.ini\n[b]\n");
    text_write("a.ini", "include = b.ini\n[a]\n");
    char *got = read_all();
    assert_int_equal(strncmp(got, "2[b|] 2[a|] !b.ini:1: include: ", 31), 0);
    assert_non_null(strstr(got, "a.ini includes itself\n"));
    mem_free(got);
    text_remove("a.ini");
    // Nine files deep, no cycle.
    for (char name[] = "a.ini"; name[0] <= 'k'; name[0]++) {
        char text[] = "include = ?.ini\n";
        text[10] = (char)(name[0] + 1);
        text_write(name, name[0] < 'k' ? text : "[k]\n");
    }
    got = read_all();
    assert_string_equal(got, "!i.ini:1: include: files are nested deeper than 8\n");
    mem_free(got);
    for (char name[] = "a.ini"; name[0] <= 'k'; name[0]++)
        text_remove(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_expand_ceiling),
        cmocka_unit_test(test_include),
        cmocka_unit_test(test_include_cycle),
    };
    return cmocka_run_group_tests(tests, text_setup, text_teardown);
}
