// SPDX-License-Identifier: MIT
// `bearerd explain` from the command line to what it prints and its exit code. That it tells the
// truth follows from its calling what serves; here is that it tells all of it, and no secret.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/command.h"

static const char config[] = "[proxy]\n"
                             "listen = 127.0.0.1:8080\n"
                             "[credential main]\n"
                             "token_url = https://idp.example.com/token\n"
                             "client_id = legacy\n"
                             "client_secret = hidden-hidden-hidden\n"
                             "[upstream api]\n"
                             "url = https://api.example.com/v1\n"
                             "[route read]\n"
                             "match = GET /items/**\n"
                             "match = GET /things/{id}\n"
                             "scopes = items:read a\n"
                             "set_header = X-Fixed: yes\n"
                             "client_authorization = reject\n"
                             "[route write]\n"
                             "match = POST /items\n"
                             "scopes = items:write\n"
                             "remove_header = Cookie\n"
                             "[route open]\n"
                             "match = /open\n"
                             "credential = none\n";

#define WORDS_MAX 10

struct told {
    int code;
    char text[4096];
};

static char path[] = "/tmp/test_explain.XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || write(fd, config, sizeof config - 1) != sizeof config - 1 || close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static struct told explain(const char *const *words)
{
    char *argv[WORDS_MAX + 4] = {(char *)(uintptr_t) "explain", (char *)(uintptr_t) "-c", path};
    int argc = 3;
    for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
        argv[argc++] = (char *)(uintptr_t)words[i];
    struct told told = {.text = ""};
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    told.code = cli_explain(argc, argv);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(file);
    assert_true(fread(told.text, 1, sizeof told.text - 1, file) > 0);
    fclose(file);
    return told;
}

struct row {
    const char *words[WORDS_MAX];
    int code;
    const char *parts[10]; // of what is printed
    const char *absent[4];
};

static const struct row rows[] = {
    {{"GET", "/items/5?q=1"},
     EXIT_DONE,
     {"upstream    api  https://api.example.com/v1  (", ":7)\n", "route       read  (", ":9)\n",
      "rule        match = GET /items/**  (", ":10)\n", "credential  main",
      "scopes      a items:read\n", "sent path   /v1/items/5?q=1\n",
      "set         Authorization: Bearer <access token of main>\n"},
     {"dropped", "hidden"}},
    {{"GET", "/things/7"},
     EXIT_DONE,
     {"match = GET /things/{id}  (", ":11)\n", "set         X-Fixed: yes\n",
      "set         Host: api.example.com\n", "set         Via: 1.1 bearerd"},
     {NULL}},
    {{"-H", "Cookie: a", "-H", "Accept:*/*", "-H", "Authorization: Bearer placeholder", "POST",
      "http://api.example.com/v1/items"},
     EXIT_DONE,
     {"route       write", "scopes      items:write\n", "sent path   /v1/items\n",
      "dropped     Cookie\n", "dropped     Authorization\n", "kept        Accept: */*\n"},
     {"placeholder", "dropped     Host"}},
    {{"GET", "https://api.example.com/v1/open"},
     EXIT_DONE,
     {"route       open", "credential  none\n", "sent path   /v1/open\n"},
     {"Authorization", "scopes"}},
    {{"GET", "/items/x%20y"}, EXIT_DONE, {"sent path   /v1/items/x%20y\n"}, {NULL}},
    {{"GET", "/other"}, EXIT_FAILED, {"answer      403 no-route\n", "upstream    api"}, {"set "}},
    {{"DELETE", "/items"}, EXIT_FAILED, {"403 no-route"}, {NULL}},
    {{"GET", "http://evil.com/"}, EXIT_FAILED, {"404 no-upstream"}, {"upstream    "}},
    {{"GET", "/items/..%2fother"}, EXIT_FAILED, {"400 ambiguous-path"}, {NULL}},
    {{"GET", "/items/%00"}, EXIT_FAILED, {"400 bad-target", "control character"}, {NULL}},
    {{"GET", "items"}, EXIT_FAILED, {"400 bad-target"}, {NULL}},
    {{"GET", "/items/1", "-H", "Host: evil.com"}, EXIT_FAILED, {"403 host-not-allowed"}, {NULL}},
    {{"GET", "/items/1", "-H", "Host: a@b"}, EXIT_FAILED, {"400 "}, {NULL}},
    {{"GET", "/items/1", "-H", "Origin: https://evil.com"},
     EXIT_FAILED,
     {"403 origin-not-allowed"},
     {NULL}},
    {{"GET", "/items/1", "-H", "authorization: x"},
     EXIT_FAILED,
     {"400 client-authorization"},
     {NULL}},
    {{"POST", "/items?access_token=x"}, EXIT_FAILED, {"400 token-in-query"}, {NULL}},
    {{"CONNECT", "api.example.com:443"}, EXIT_FAILED, {"501 connect-not-supported"}, {NULL}},
    {{"TRACE", "/items/1"}, EXIT_FAILED, {"405 method-not-allowed"}, {NULL}},
    {{"-c", "/nonexistent.ini", "GET", "/"}, EXIT_FAILED, {"/nonexistent.ini"}, {NULL}},
    {{"GET"}, EXIT_USAGE, {"usage: "}, {NULL}},
    {{"GET", "/", "/"}, EXIT_USAGE, {"usage: "}, {NULL}},
    {{"-x", "GET", "/"}, EXIT_USAGE, {"usage: "}, {NULL}},
    {{"GET", "/", "-H", "no colon"}, EXIT_USAGE, {"usage: "}, {NULL}},
    {{"GET", "/", "-H", "a b: c"}, EXIT_USAGE, {"usage: "}, {NULL}},
    {{"G T", "/"}, EXIT_USAGE, {"usage: "}, {NULL}},
};

static void test_explain(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct told told = explain(rows[i].words);
        if (told.code != rows[i].code)
            fail_msg("row %zu: exit code %d\n%s", i, told.code, told.text);
        for (size_t j = 0; j < 10 && rows[i].parts[j]; j++)
            if (!strstr(told.text, rows[i].parts[j]))
                fail_msg("row %zu lacks `%s`:\n%s", i, rows[i].parts[j], told.text);
        for (size_t j = 0; j < 4 && rows[i].absent[j]; j++)
            if (strstr(told.text, rows[i].absent[j]))
                fail_msg("row %zu has `%s`:\n%s", i, rows[i].absent[j], told.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_explain)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
