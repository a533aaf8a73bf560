// SPDX-License-Identifier: MIT
// Unix sockets: their mode, from the first moment on, and without a touch on what other threads do.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/server.h"

static char folder[] = "/tmp/bearerd-listen-XXXXXX";
static char path[64];
static unsigned modes_seen;
static mode_t first_mode;

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);
mode_t __wrap_umask(mode_t mask);

// It is the process's, and other threads may be creating files at any moment.
mode_t __wrap_umask(mode_t mask)
{
    (void)mask;
    fail_msg("umask() was called");
    return 0;
}

// The last moment at which nobody can connect.
int __wrap_listen(int fd, int backlog)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    first_mode = st.st_mode & 07777;
    modes_seen++;
    return __real_listen(fd, backlog);
}

static void test_mode_of_a_unix_socket(void **state)
{
    (void)state;
    static const unsigned modes[] = {0600, 0660, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char address[80], bound[LISTEN_ADDRESS_MAX];
        struct err err = {""};
        struct stat st;
        modes_seen = 0;
        snprintf(address, sizeof address, "unix:%s", path);
        int fd = listen_open(address, false, modes[i], bound, sizeof bound, &err);
        assert_true(fd >= 0);
        assert_string_equal(bound, address);
        assert_int_equal(modes_seen, 1);
        assert_int_equal(first_mode, 0); // nobody, before it is right
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        close(fd);
    }
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/socket", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mode_of_a_unix_socket)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
