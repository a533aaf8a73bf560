// SPDX-License-Identifier: MIT
// Users and capabilities, given up by processes of their own (T-20). Needs root, as that does.
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rights.h"
#include "base/str.h"

static void in_child(void (*action)(void))
{
    int status;
    pid_t pid = fork();
    if (!pid) {
        action();
        _exit(0); // a failed assertion has ended the process by now
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

// cmocka's own assertions would run the rest of the tests in the child.
static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "not so: %s\n", what);
    _exit(1);
}
#define MUST(condition) must(condition, #condition)

static uint64_t status_of(const char *field)
{
    char line[256];
    uint64_t value = UINT64_MAX;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (str_starts(str_of(line), str_of(field)))
            value = strtoull(line + strlen(field) + 1, NULL, 16);
    if (file)
        fclose(file);
    return value;
}

static bool can_bind_low_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    // Which one is free is not known; those that are in use tell as much.
    address.sin_port = htons(1023);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = !bind(fd, (const struct sockaddr *)&address, sizeof address) || errno == EADDRINUSE;
    close(fd);
    return ok;
}

static const uint64_t bind_bit = UINT64_C(1) << 10; // CAP_NET_BIND_SERVICE

static void check_capabilities(uint64_t expected)
{
    MUST(status_of("CapInh:") == 0);
    MUST(status_of("CapAmb:") == 0);
    MUST(status_of("CapPrm:") == expected);
    MUST(status_of("CapEff:") == expected);
    MUST(status_of("CapBnd:") == expected);
}

static void become_nobody(bool keep_bind)
{
    struct rights_user user;
    struct err err = {""};
    gid_t groups[8];
    MUST(rights_user_find("nobody", NULL, &user, &err));
    MUST(user.uid == 65534);
    if (!rights_become(&user, keep_bind, &err) || !rights_drop(keep_bind, &err))
        must(false, err.text);
    MUST(getuid() == 65534 && geteuid() == 65534 && getgid() == user.gid);
    MUST(getgroups(8, groups) == 1 && groups[0] == user.gid);
    MUST(!strcmp(getenv("HOME"), user.home));
    MUST(setuid(0) && errno == EPERM);
    rights_user_fini(&user);
}

static void from_root_to_nobody(void)
{
    become_nobody(false);
    check_capabilities(0);
    MUST(!can_bind_low_port());
}

static void from_root_to_nobody_with_port(void)
{
    become_nobody(true);
    check_capabilities(bind_bit);
    MUST(can_bind_low_port());
}

static void from_root_to_less_of_it(void)
{
    struct err err = {""};
    if (!rights_drop(false, &err))
        must(false, err.text);
    check_capabilities(0);
    MUST(geteuid() == 0 && !can_bind_low_port());
    if (!rights_drop(false, &err)) // once more: there is nothing to do
        must(false, err.text);
}

// Somebody without rights has nothing to give up, and no right that the giving up takes.
static void from_nobody(void)
{
    struct err err = {""};
    MUST(!setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534));
    if (!rights_drop(true, &err))
        must(false, err.text);
    MUST(status_of("CapEff:") == 0 && status_of("CapPrm:") == 0);
    struct rights_user root;
    MUST(rights_user_find("root", NULL, &root, &err));
    MUST(!rights_become(&root, false, &err));
    MUST(strstr(err.text, "cannot become user 0"));
    rights_user_fini(&root);
}

static void number_without_an_entry(void)
{
    struct rights_user user;
    struct err err = {""};
    MUST(rights_user_find("4242424", "4242", &user, &err));
    if (!rights_become(&user, false, &err))
        must(false, err.text);
    gid_t groups[8];
    MUST(getuid() == 4242424 && getgid() == 4242);
    MUST(getgroups(8, groups) == 1 && groups[0] == 4242);
    MUST(!strcmp(getenv("HOME"), "/"));
    rights_user_fini(&user);
}

static void test_giving_up(void **state)
{
    (void)state;
    if (geteuid() != 0 || !can_bind_low_port())
        skip();
    in_child(from_root_to_nobody);
    in_child(from_root_to_nobody_with_port);
    in_child(from_root_to_less_of_it);
    in_child(from_nobody);
    in_child(number_without_an_entry);
}

static void test_names(void **state)
{
    (void)state;
    struct rights_user user;
    struct err err = {""};
    assert_true(rights_user_find("0", NULL, &user, &err));
    assert_string_equal(user.name, "root");
    rights_user_fini(&user);
    assert_true(rights_user_find("root", "nogroup", &user, &err));
    assert_int_equal(user.gid, 65534);
    rights_user_fini(&user);
    static const struct {
        const char *user, *group, *why;
    } rows[] = {
        {"no-such-user", NULL, "there is no user \"no-such-user\""},
        {"no-such-user", "root", "there is no user \"no-such-user\""},
        {"root", "no-such-group", "there is no group \"no-such-group\""},
        {"4242424", NULL, "so its group must be named, too"},
        {"-1", NULL, "there is no user \"-1\""},
        {"4294967295", NULL, "there is no user \"4294967295\""}, // (uid_t)-1 means: do not change
        {"", NULL, "there is no user \"\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_false(rights_user_find(rows[i].user, rows[i].group, &user, &err));
        if (!strstr(err.text, rows[i].why))
            fail_msg("%s: %s", rows[i].user, err.text);
        rights_user_fini(&user);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_giving_up),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
