// SPDX-License-Identifier: MIT
// See late.h.
#include "token/late.h"

#include <stdio.h>

#include "base/log.h"
#include "config/secret.h"

static void on_task(struct task *task)
{
    struct late *late = CONTAINER_OF(task, struct late, task), told = *late;
    // The one who is told may ask for the next at once.
    late_init(late, told.loop);
    struct source_result result = {.value = buf_str(&told.value),
                                   .sent_ms = loop_now_ms(told.loop),
                                   .lifetime_ms = told.lifetime_ms,
                                   .is_configured = true,
                                   .failure = told.failure};
    told.done(told.arg, &result);
    buf_fini(&told.value);
    token_failure_unref(told.failure);
}

void late_init(struct late *late, struct loop *loop)
{
    *late = (struct late){.loop = loop};
    task_init(&late->task, on_task);
    buf_init(&late->value, SECRET_MAX);
}

void late_cancel(struct late *late)
{
    task_cancel(&late->task);
    buf_fini(&late->value);
    token_failure_unref(late->failure);
    late->failure = NULL;
    late->done = NULL;
}

static void late_tell(struct late *late, source_done_fn *done, void *arg)
{
    late->done = done;
    late->arg = arg;
    loop_defer(late->loop, &late->task);
}

void late_fail(struct late *late, source_done_fn *done, void *arg, struct token_failure *failure)
{
    buf_fini(&late->value);
    late->failure = failure;
    late_tell(late, done, arg);
}

void late_fail_locally(struct late *late, source_done_fn *done, void *arg,
                       const struct config_credential *credential, const char *what,
                       const struct err *err)
{
    char text[256];
    snprintf(text, sizeof text, "%s of credential '%s' (see the log)", what, credential->name);
    log_error("token.local", F_TEXT("credential", credential->name), F_TEXT("text", what),
              F_TEXT("cause", err->text));
    late_fail(late, done, arg, token_failure_new(FAILURE_LOCAL, text));
}

void late_succeed(struct late *late, source_done_fn *done, void *arg, uint64_t lifetime_ms)
{
    late->lifetime_ms = lifetime_ms;
    late_tell(late, done, arg);
}
