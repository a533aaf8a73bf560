// SPDX-License-Identifier: MIT
// What a configuration makes bearerd use, which commands the helper takes for named by it, which
// variables are hidden, and what is in reach of the sandbox.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../support/config_text.h"
#include "base/env.h"
#include "base/landlock.h"
#include "base/log.h"
#include "config/uses.h"
#include "daemon/commands.h"
#include "daemon/sandbox.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char upstream[] = "[upstream api]\nurl = https://api.example.com\n";
static const char all[] =
    "[proxy]\nlisten = unix:/run/bearerd/a.sock\nlisten = 127.0.0.1:80\n"
    "client_key = file:keys/client\n"
    "[store]\nurl = sqlite:/var/lib/bearerd/tokens.db\nkey = literal-key-of-the-store\n"
    "[credential main]\ntoken_url = https://idp.example.com/token\nclient_id = a\n"
    "client_secret = file:/run/secrets/one\non_token_update = /bin/hook 'an argument'\n"
    "[credential command]\nsource = exec\ncommand = /bin/get-token\n"
    "[credential login]\nsource = login\nlogin_url = https://api.example.com/login\n"
    "login_body = {\"p\":\"%{file:/run/secrets/two}\"}\nlogin_token = /t\nlogin_ttl = 1m\n"
    "[credential federated]\ntoken_url = https://idp.example.com/token\n"
    "auth_method = assertion_file\nassertion_file = /run/secrets/jwt\n";

static struct config *load(const char *text)
{
    struct buf whole;
    char *said;
    buf_init(&whole, 65536);
    assert_true(buf_printf(&whole, "%s%s", text, upstream));
    char *copy = buf_take(&whole);
    struct config *config = text_load(copy, &said);
    if (!config)
        fail_msg("%s", said);
    mem_free(said);
    mem_free(copy);
    return config;
}

static void note(void *arg, enum config_use use, const char *value)
{
    static const char *const names[] = {"file", "written", "socket", "address", "command"};
    const char *folder = strstr(value, text_folder);
    assert_true(
        buf_printf(arg, "%s %s\n", names[use], folder ? value + strlen(text_folder) + 1 : value));
}

static void test_uses(void **state)
{
    (void)state;
    struct config *config = load(all);
    struct buf found;
    buf_init(&found, 65536);
    config_visit_uses(config, note, &found);
    char *text = buf_take(&found);
    assert_string_equal(text, "file a.ini\n"
                              "file /run/secrets/one\n"
                              "command /bin/hook 'an argument'\n"
                              "command /bin/get-token\n"
                              "file /run/secrets/two\n"
                              "file /run/secrets/jwt\n"
                              "socket /run/bearerd/a.sock\n"
                              "address 127.0.0.1:80\n"
                              "file keys/client\n"
                              "written /var/lib/bearerd/tokens.db\n");
    mem_free(text);
    config_unref(config);
}

static void test_commands(void **state) // T-17
{
    (void)state;
    struct config *config = load(all);
    struct commands *commands = commands_new(config);
    config_unref(config);
    const struct {
        const char *const *argv, *const *env;
        bool is_permitted;
    } rows[] = {
        {ARGV("/bin/hook", "an argument"), ARGV(NULL), true},
        {ARGV("/bin/hook", "an argument"), ARGV("BEARERD_SCOPE=a"), true},
        {ARGV("/bin/get-token"), ARGV(NULL), true},
        {ARGV("/bin/hook"), ARGV(NULL), false},
        {ARGV("/bin/hook", "an argument", "more"), ARGV(NULL), false},
        {ARGV("/bin/hook", "another"), ARGV(NULL), false},
        {ARGV("/bin/get-token", ""), ARGV(NULL), false},
        {ARGV("/bin/sh", "-c", "id"), ARGV(NULL), false},
        {ARGV("/bin/get-token"), ARGV("LD_PRELOAD=/tmp/x.so"), false},
        {ARGV("/bin/get-token"), ARGV("BEARERD_A=1", "PATH=/tmp"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (commands_permit(commands, rows[i].argv, rows[i].env) != rows[i].is_permitted)
            fail_msg("row %zu", i);
    commands_free(commands);
}

static bool may_run(const struct commands *commands, const char *program)
{
    return commands_permit(commands, ARGV(program), ARGV(NULL));
}

// What counts is what was loaded, not what has been written since.
static void test_commands_of_reloads(void **state) // T-17
{
    (void)state;
    struct config *config = load("[credential c]\nsource = exec\ncommand = /bin/one\n");
    struct commands *commands = commands_new(config);
    config_unref(config);
    text_write("a.ini", "[credential c]\nsource = exec\ncommand = /bin/two\n[nonsense]\n");
    assert_true(may_run(commands, "/bin/one") && !may_run(commands, "/bin/two"));
    commands_refresh(commands);
    text_write("a.ini", "[credential c]\nsource = exec\ncommand = /bin/three\n");
    assert_true(may_run(commands, "/bin/one") && may_run(commands, "/bin/two"));
    assert_false(may_run(commands, "/bin/three"));
    assert_true(may_run(commands, "/bin/two"));
    commands_refresh(commands);
    assert_false(may_run(commands, "/bin/one"));
    assert_true(may_run(commands, "/bin/two") && may_run(commands, "/bin/three"));
    text_remove("a.ini");
    commands_refresh(commands); // which must have gone just now
    assert_true(may_run(commands, "/bin/two") && may_run(commands, "/bin/three"));
    commands_free(commands);
}

static bool has_line(char **list, const char *line)
{
    bool found = false;
    for (size_t i = 0; list[i]; i++)
        found |= !strcmp(list[i], line);
    mem_free(list);
    return found;
}

static void test_hidden_variables(void **state) // T-9
{
    (void)state;
    setenv("TEST_SECRET", "canary", 1);
    setenv("TEST_PLAIN", "plain", 1);
    setenv("TEST_TAKEN", "taken", 1);
    const char *where = getenv("TEST_SECRET");
    assert_string_equal(env_get_secret("TEST_SECRET"), "canary");
    assert_string_equal(env_get("TEST_PLAIN"), "plain");
    assert_null(env_get_secret("TEST_MISSING"));
    env_hide_secrets();
    env_hide("TEST_TAKEN");
    env_hide("TEST_MISSING");
    assert_string_equal(where, "");
    assert_string_equal(getenv("TEST_SECRET"), "");
    assert_string_equal(getenv("TEST_PLAIN"), "plain");
    assert_null(getenv("TEST_TAKEN"));
    // Known here all the same, by whichever way a configuration names it.
    assert_string_equal(env_get_secret("TEST_SECRET"), "canary");
    assert_string_equal(env_get("TEST_SECRET"), "canary");
    assert_string_equal(env_get("TEST_TAKEN"), "taken");
    struct config *config = load("[proxy]\naccept_hosts = ${TEST_TAKEN}\n"
                                 "client_key = env:TEST_SECRET\n");
    assert_string_equal(config->accept_hosts.items[0], "taken");
    struct buf key;
    buf_init(&key, 100);
    assert_true(secret_read(config->client_key, &key, NULL));
    assert_true(str_eq(buf_str(&key), STR("canary")));
    buf_fini(&key);
    config_unref(config);
    env_hide_secrets(); // nothing more to hide
    // A successor is told of them; a helper that has forgotten them takes them from us.
    static const char *const more[] = {"TEST_MORE=1", NULL};
    assert_true(has_line(env_list(more), "TEST_SECRET=canary"));
    assert_false(has_line(env_list(more), "TEST_SECRET="));
    assert_true(has_line(env_list(more), "TEST_TAKEN=taken"));
    assert_true(has_line(env_list(more), "TEST_PLAIN=plain"));
    assert_true(has_line(env_list(more), "TEST_MORE=1"));
    assert_true(has_line(env_secret_list(more), "TEST_SECRET=canary"));
    assert_true(has_line(env_secret_list(more), "TEST_MORE=1"));
    assert_false(has_line(env_secret_list(more), "TEST_TAKEN=taken"));
    env_forget_secrets();
    assert_string_equal(env_get("TEST_SECRET"), "");
    assert_true(env_is_secret("TEST_SECRET"));
    assert_false(env_is_secret("TEST_TAKEN") || env_is_secret("TEST_PLAIN"));
    static const char *const told[] = {"TEST_SECRET=told", NULL};
    assert_true(has_line(env_list(told), "TEST_SECRET=told"));
    assert_false(has_line(env_list(told), "TEST_SECRET="));
    env_forget("TEST_TAKEN");
    assert_null(env_get("TEST_TAKEN"));
}

static void test_users(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *said;
    } rows[] = {
        {"user = nobody\ngroup = nogroup\n", ""},
        {"user = no-such-user\n", "2: [proxy] user: there is no user \"no-such-user\"\n"},
        {"group = nogroup\n", "2: [proxy] group: has no effect without user\n"},
        {"sandbox = stric\n",
         "2: [proxy] sandbox: unknown value \"stric\"; did you mean \"strict\"?\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[300], *said;
        snprintf(text, sizeof text, "[proxy]\n%s%s[route r]\nmatch = /**\ncredential = none\n",
                 rows[i].lines, upstream);
        struct config *config = text_load(text, &said);
        assert_string_equal(said, rows[i].said);
        mem_free(said);
        config_unref(config);
    }
}

// In the place of every %s.
static void fill(char *out, size_t size, const char *form, const char *text)
{
    struct str rest = str_of(form);
    size_t at, len = 0;
    while (str_find(rest, '%', &at)) {
        len += (size_t)snprintf(out + len, size - len, "%.*s%s", (int)at, rest.ptr, text);
        rest = str_from(rest, at + 2);
    }
    snprintf(out + len, size - len, "%.*s", STR_ARG(rest));
}

// The helper believes the configuration and runs what it names, so neither may lie where the other
// process can write to.
static void test_what_is_believed_lies_elsewhere(void **state) // T-20
{
    (void)state;
    static const char own[] = "[proxy]\npid_file = pids/own\n[store]\nurl = sqlite:own/db\n"
                              "key = literal-key-of-the-store\n[credential c]\nsource = exec\n"
                              "command = /bin/true\n";
    static const struct {
        const char *text, *said; // empty: nothing
    } rows[] = {
        {"%s", ""},
        {"[store]\nurl = sqlite:tokens.db\nkey = literal-key-of-the-store\n",
         "2: [store] url: bearerd may write to %s for this, where the configuration (%s/a.ini) "
         "is, too: "},
        {"[proxy]\npid_file = pid\n", "2: [proxy] pid_file: bearerd may write to %s for this, "},
        {"[proxy]\npid_file = not-yet/pid\n", "2: [proxy] pid_file: bearerd may write to %s "},
        {"include = own/*.ini\n[store]\nurl = sqlite:own/db\nkey = literal-key-of-the-store\n",
         "3: [store] url: bearerd may write to %s/own for this, where what the configuration "
         "includes "
         "(%s/own/) is, too: "},
        {"[store]\nurl = sqlite:link\nkey = literal-key-of-the-store\n[proxy]\nsandbox = off\n",
         ""},
        {"[store]\nurl = sqlite:own/db\nkey = literal-key-of-the-store\n[credential c]\n"
         "source = exec\ncommand = %s/own/command\n",
         "2: [store] url: bearerd may write to %s/own for this, where a command "
         "(%s/own/command) is, too: "},
        {"[store]\nurl = sqlite:own/db\nkey = literal-key-of-the-store\n[credential c]\n"
         "source = exec\ncommand = %s/link\n",
         "2: [store] url: bearerd may write to %s/own for this, where a command (%s/link) "},
        {"[proxy]\nsandbox = strict\npid_file = pid\n",
         "3: [proxy] pid_file: sandbox = strict: bearerd may write to %s for this, "},
    };
    const char *folder = text_folder;
    char link[128], target[128];
    assert_int_equal(mkdir(text_path("own"), 0700) | mkdir(text_path("pids"), 0700), 0);
    text_write_bytes("own/command", "#!/bin/sh\n", 10, 0700);
    snprintf(link, sizeof link, "%s/link", folder);
    snprintf(target, sizeof target, "%s/own/command", folder);
    assert_int_equal(symlink(target, link), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[600], whole[800], expected[300], *said;
        fill(text, sizeof text, rows[i].text, i ? folder : own);
        fill(expected, sizeof expected, rows[i].said, folder);
        snprintf(whole, sizeof whole, "%s%s[route r]\nmatch = /**\ncredential = none\n", text,
                 upstream);
        struct config *config = text_load(whole, &said);
        if (*expected ? !strstr(said, expected) : strstr(said, "took bearerd over") != NULL)
            fail_msg("row %zu: %s", i, said);
        assert_int_equal(!config, strstr(text, "strict") != NULL);
        mem_free(said);
        config_unref(config);
    }
    text_remove("link");
    text_remove("own/command");
    assert_int_equal(rmdir(text_path("own")) | rmdir(text_path("pids")), 0);
}

// In a process of its own: 0 if what was loaded at start is in reach, and what is loaded later, if
// it lies in the same folders.
static int enter_and_look(struct config *first, const char *second_text, const char *expected)
{
    struct err err = {""};
    struct config_faults faults = {0};
    FILE *file = fopen(text_path("b.ini"), "w");
    if (!file || fputs(second_text, file) < 0 || fclose(file))
        return 10;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || !sandbox_enter(first, &err))
        return 11;
    struct config *second = config_inspect(text_path("b.ini"), &faults);
    bool ok = sandbox_covers(second, &err);
    if (open(text_path("b.ini"), O_RDONLY) < 0 || open("/root", O_RDONLY | O_DIRECTORY) >= 0)
        return 12;
    return ok == !*expected && (ok || strstr(err.text, expected)) ? 0 : 13;
}

static void link_to(const char *name, const char *target)
{
    assert_int_equal(symlink(target, text_path(name)), 0);
}

static void test_later_configurations(void **state) // T-20
{
    (void)state;
    static const struct {
        const char *line, *expected; // empty: in reach
    } rows[] = {
        {"client_key = file:other-name", ""},
        {"client_key = file:later/deeper/name", ""},
        {"client_key = file:/etc/bearerd/key", ""},
        {"client_key = file:/srv/elsewhere/key", "/srv/elsewhere/key lies in a folder that the "
                                                 "sandbox keeps out of reach"},
        {"client_key = file:/key", "/key lies in a folder"},
        {"client_key = file:inward", ""},
        {"client_key = file:outward", "/outward lies in a folder"}, // a link to elsewhere
        {"listen = unix:socket", ""},
        {"listen = unix:/srv/elsewhere/socket", "/srv/elsewhere/socket lies in a folder"},
    };
    if (!landlock_version())
        skip();
    log_set_level(LOG_ERROR);
    char first_text[300];
    snprintf(first_text, sizeof first_text, "[proxy]\nlisten = unix:%s/first\n", text_folder);
    struct config *first = load(first_text);
    text_write("key", "a-key-of-some-length");
    link_to("inward", text_path("key"));
    link_to("outward", "/root");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[300];
        int status;
        snprintf(text, sizeof text, "[proxy]\n%s\n%s", rows[i].line, upstream);
        pid_t pid = fork();
        if (!pid)
            _exit(enter_and_look(first, text, rows[i].expected));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status)
            fail_msg("%s: status %x", rows[i].line, (unsigned)status);
        text_remove("b.ini");
    }
    text_remove("inward");
    text_remove("outward");
    text_remove("key");
    log_set_level(LOG_INFO);
    config_unref(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uses),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_commands_of_reloads),
        cmocka_unit_test(test_hidden_variables),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_what_is_believed_lies_elsewhere),
        cmocka_unit_test(test_later_configurations),
    };
    return cmocka_run_group_tests(tests, text_setup, text_teardown);
}
