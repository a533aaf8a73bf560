// SPDX-License-Identifier: MIT
// What tests of sources share: a loop, a fetcher, a folder for scripts and secrets, a credential
// and a slot, and what became of a fetch.
#ifndef SUPPORT_SOURCE_RIG_H
#define SUPPORT_SOURCE_RIG_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "http/fetch.h"
#include "http/multi.h"
#include "token/client.h"
#include "token/source.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static struct loop *loop;
static struct fetcher *fetcher;
static struct source_context context;
static struct config_credential credential;
static struct config_slot slot;
static char rig_dir[64], rig_url[128], rig_authority[64];

struct outcome {
    unsigned calls;
    bool is_failure;
    char value[256], scope[64], text[600], error[64];
    enum token_failure_kind kind;
    int status;
    uint64_t lifetime_ms, retry_after_ms, sent_ms;
};

static void on_result(void *arg, const struct source_result *result)
{
    struct outcome *outcome = arg;
    outcome->calls++;
    outcome->lifetime_ms = result->lifetime_ms;
    outcome->retry_after_ms = result->retry_after_ms;
    outcome->sent_ms = result->sent_ms;
    snprintf(outcome->value, sizeof outcome->value, "%.*s", STR_ARG(result->value));
    if (result->granted_scope)
        snprintf(outcome->scope, sizeof outcome->scope, "%s", result->granted_scope);
    assert_true((result->value.len == 0) == (result->failure != NULL));
    if (!result->failure)
        return;
    outcome->is_failure = true;
    outcome->kind = result->failure->kind;
    outcome->status = result->failure->status;
    snprintf(outcome->text, sizeof outcome->text, "%s", result->failure->text);
    snprintf(outcome->error, sizeof outcome->error, "%s", result->failure->error);
}

// A path in the rig's folder; of the last four calls each has its own memory.
static inline const char *rig_path(const char *name)
{
    static char paths[4][128];
    static unsigned at;
    char *path = paths[at++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", rig_dir, name);
    return path;
}

static inline void rig_write(const char *name, const char *text, mode_t mode)
{
    const char *path = rig_path(name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

// "" if there is none.
static inline const char *rig_read(const char *name)
{
    static char text[65536];
    FILE *file = fopen(rig_path(name), "r");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[len] = '\0';
    if (file)
        fclose(file);
    return text;
}

static inline int rig_set_up(void **state)
{
    struct err err;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    umask(0077);
    loop = loop_new(&err);
    fetcher = fetcher_new(loop, &err);
    snprintf(rig_dir, sizeof rig_dir, "/tmp/test_source.XXXXXX");
    if (!loop || !fetcher || !mkdtemp(rig_dir))
        return -1;
    context = (struct source_context){
        .loop = loop, .fetcher = fetcher, .clients = clients_new(loop, fetcher)};
    credential = (struct config_credential){.name = TEXT("main"),
                                            .default_ttl_ms = 300000,
                                            .clock_skew_ms = 10000,
                                            .command_timeout_ms = 20000,
                                            .hook_timeout_ms = 20000,
                                            .auth_method = AUTH_NONE,
                                            .client_id = TEXT("client"),
                                            .connect_timeout_ms = 2000,
                                            .timeout_ms = 2000};
    slot = (struct config_slot){.credential = &credential, .scope = TEXT("a b")};
    return 0;
}

static inline bool rig_has_children(void)
{
    siginfo_t info; // it does not reap them
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != -1 || errno != ECHILD;
}

static inline int rig_tear_down(void **state)
{
    (void)state;
    clients_free(context.clients);
    for (int i = 0; i < 500 && rig_has_children(); i++)
        loop_turn(loop, 10);
    assert_false(rig_has_children());
    fetcher_free(fetcher);
    loop_free(loop);
    char command[128];
    snprintf(command, sizeof command, "%s", rig_dir);
    pid_t pid = fork();
    if (!pid) {
        execl("/bin/rm", "rm", "-rf", command, NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    return 0;
}

// A server on this port is the token endpoint and the place to log in.
static inline void rig_point_to(unsigned port)
{
    snprintf(rig_authority, sizeof rig_authority, "127.0.0.1:%u", port);
    snprintf(rig_url, sizeof rig_url, "http://%s/token?tenant=hidden", rig_authority);
    credential.token_url = (struct config_url){.authority = rig_authority,
                                               .path = TEXT("/token"),
                                               .query = TEXT("tenant=hidden"),
                                               .text = rig_url};
    credential.login.url = credential.token_url;
    credential.has_endpoint = true;
}

static inline void rig_fetch(struct source *source, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    source->ops->fetch(source, on_result, outcome);
    assert_int_equal(outcome->calls, 0); // never from inside fetch
    for (int i = 0; i < 3000 && !outcome->calls; i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome->calls, 1);
    assert_null(strstr(outcome->text, "hidden"));
    assert_null(strstr(outcome->text, rig_dir));
}

#endif
