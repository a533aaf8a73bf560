// SPDX-License-Identifier: MIT
// What outlives a configuration and what does not (T36, T-18): real configurations, a source that
// the test plays, and a view of each configuration. Above all: no view ever gets a token of a rule
// that is not in its configuration.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "http/multi.h"
#include "token/keeper.h"
#include "token/pace.h"
#include "token/source.h"
#include "token/view.h"

// -- sources -----------------------------------------------------------------------------------

struct fake {
    struct source source;
    struct list link;
    const struct config_slot *slot;
    source_done_fn *done; // NULL: no fetch is under way
    void *arg;
};

static struct list fakes;
static unsigned fetches, made, freed;

static void fake_fetch(struct source *source, source_done_fn *done, void *arg)
{
    struct fake *fake = CONTAINER_OF(source, struct fake, source);
    assert_null(fake->done);
    fake->done = done;
    fake->arg = arg;
    fetches++;
}

static void fake_cancel(struct source *source)
{
    CONTAINER_OF(source, struct fake, source)->done = NULL;
}

static void fake_rebind(struct source *source, const struct config_slot *slot)
{
    CONTAINER_OF(source, struct fake, source)->slot = slot;
}

static void fake_free(struct source *source)
{
    struct fake *fake = CONTAINER_OF(source, struct fake, source);
    list_remove(&fake->link);
    free(fake);
    freed++;
}

static const struct source_ops fake_ops = {
    .fetch = fake_fetch, .cancel = fake_cancel, .rebind = fake_rebind, .free = fake_free};

static struct source *fake_new(struct loop *loop, struct fetcher *fetcher,
                               const struct config_slot *slot)
{
    (void)loop;
    (void)fetcher;
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->source.ops = &fake_ops;
    fake->slot = slot;
    list_append(&fakes, &fake->link);
    made++;
    return &fake->source;
}

// The one that is being asked for tokens of that scope.
static struct fake *asked(const char *scope)
{
    for (struct list *link = fakes.next; link != &fakes; link = link->next) {
        struct fake *fake = CONTAINER_OF(link, struct fake, link);
        if (fake->done && !strcmp(fake->slot->scope, scope))
            return fake;
    }
    fail_msg("nobody asks for %s", scope);
    return NULL;
}

static void answer(const char *scope, const struct source_result *result)
{
    struct fake *fake = asked(scope);
    source_done_fn *done = fake->done;
    struct source_result copy = *result;
    copy.sent_ms = clock_boottime_us() / 1000;
    fake->done = NULL;
    done(fake->arg, &copy);
}

static void succeed(const char *scope, const char *value)
{
    answer(scope, &(struct source_result){.value = str_of(value), .lifetime_ms = 600000});
}

static void refuse(const char *scope, enum token_failure_kind kind)
{
    struct token_failure *failure = token_failure_new(kind, "no");
    answer(scope, &(struct source_result){.failure = failure});
    token_failure_unref(failure);
}

// -- bench -------------------------------------------------------------------------------------

static const struct pace pace = {.floor_min_ms = 30,
                                 .floor_max_ms = 1000,
                                 .backoff_min_ms = 60000,
                                 .backoff_max_ms = 60000,
                                 .refused_min_ms = 60000,
                                 .refused_max_ms = 60000,
                                 .local_max_ms = 40,
                                 .recheck_ms = 60000};
static const struct keeper_parts parts = {.source_new = fake_new, .pace = &pace};

static struct loop *control, *worker;
static struct keeper *keeper;
static char folder[64], path[96], secret_path[96];

static void write_text(const char *to, const char *text)
{
    FILE *file = fopen(to, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(to, 0600), 0);
}

#define CREDENTIAL                                                                                 \
    "[credential main]\ntoken_url = https://as.test/token\nclient_id = me\n"                       \
    "client_secret = first secret\n"
#define UPSTREAM "[upstream api]\nurl = https://api.test\n"
#define ROUTE(name, scope)                                                                         \
    "[route " name "]\nmatch = /" name "/**\nscopes = " scope "\ncredential = main\n"
#define SIMPLE CREDENTIAL UPSTREAM ROUTE("a", "read")

static struct config *load(const char *text)
{
    struct config_faults faults = {0};
    write_text(path, text);
    struct config *config = config_load(path, &faults);
    if (!config)
        fail_msg("%u: %s", faults.items[0].line, faults.items[0].message);
    config_faults_fini(&faults);
    return config;
}

static void turn(void)
{
    for (int i = 0; i < 4; i++) {
        loop_turn(control, 0);
        loop_turn(worker, 0);
    }
}

static struct view *start(const char *text)
{
    struct err err;
    struct config *config = load(text);
    keeper = keeper_new_of(control, config, &parts, &err);
    assert_non_null(keeper);
    config_unref(config);
    return view_new(worker, keeper);
}

static struct view *reload(const char *text)
{
    struct err err;
    struct config *config = load(text);
    assert_true(keeper_reload(keeper, config, &err));
    config_unref(config);
    struct view *view = view_new(worker, keeper);
    turn();
    return view;
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    snprintf(folder, sizeof folder, "/tmp/bearerd-reload-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/b.ini", folder);
    snprintf(secret_path, sizeof secret_path, "%s/secret", folder);
    list_init(&fakes);
    fetches = made = freed = 0;
    control = loop_new(&err);
    worker = loop_new(&err);
    return 0;
}

// Every view has been retired: what is left goes with the keeper, config and all (LeakSanitizer).
static int tear_down(void **state)
{
    (void)state;
    turn();
    keeper_free(keeper);
    loop_free(worker);
    loop_free(control);
    assert_true(list_is_empty(&fakes));
    unlink(path);
    unlink(secret_path);
    rmdir(folder);
    return 0;
}

struct waiter {
    struct view_waiter waiter;
    unsigned calls;
    char value[32], failure[32];
};

static void on_token(struct view_waiter *waiter, const struct token *token,
                     const struct token_failure *failure)
{
    struct waiter *self = CONTAINER_OF(waiter, struct waiter, waiter);
    self->calls++;
    if (token)
        snprintf(self->value, sizeof self->value, "%.*s", STR_ARG(token->value));
    if (failure)
        snprintf(self->failure, sizeof self->failure, "%.31s", failure->text);
}

static void want(struct view *view, size_t slot, struct waiter *waiter)
{
    *waiter = (struct waiter){.waiter.on_token = on_token};
    view_wait(view, slot, &waiter->waiter);
    turn();
}

// Cold, so it takes a fetch.
static void fill(struct view *view, size_t slot, const char *scope, const char *value)
{
    struct waiter waiter;
    want(view, slot, &waiter);
    succeed(scope, value);
    turn();
    assert_string_equal(waiter.value, value);
}

static const struct token *get(struct view *view, size_t slot)
{
    loop_turn(worker, 0);
    return view_get(view, slot);
}

static bool has(struct view *view, size_t slot, const char *value)
{
    const struct token *token = get(view, slot);
    return token && str_eq(token->value, str_of(value));
}

static void retire(struct view *view)
{
    view_retire(view);
    turn();
}

// -- what goes on ------------------------------------------------------------------------------

static void test_T36_the_same_identity_keeps_its_token(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    fill(old, 0, "read", "one");
    const struct token *token = get(old, 0);
    struct view *new = reload("# a comment more\n" SIMPLE ROUTE("b", "read"));
    assert_ptr_equal(get(new, 0), token); // the very same: generation and all
    assert_ptr_equal(get(old, 0), token);
    retire(old);
    assert_ptr_equal(get(new, 0), token);
    assert_int_equal(fetches, 1);
    assert_int_equal(made, 1);
    retire(new);
}

static void test_a_fetch_under_way_serves_both(void **state)
{
    (void)state;
    struct view *view = start(SIMPLE), *next;
    struct waiter first, second;
    want(view, 0, &first);
    for (int i = 0; i < 100; i++) {
        next = reload(SIMPLE);
        if (i < 99)
            retire(next);
    }
    want(next, 0, &second);
    assert_int_equal(fetches, 1); // a slow server is not asked again for each reload
    succeed("read", "one");
    turn();
    assert_string_equal(first.value, "one");
    assert_string_equal(second.value, "one");
    assert_int_equal(first.calls + second.calls, 2);
    retire(view);
    retire(next);
}

// The wish of a request may be on its way while the configuration changes.
static void test_what_was_not_asked_for_yet_is_asked_for_once(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    struct waiter first = {.waiter.on_token = on_token}, second;
    view_wait(old, 0, &first.waiter);
    struct view *new = reload(SIMPLE);
    want(new, 0, &second);
    assert_int_equal(fetches, 1);
    succeed("read", "one");
    turn();
    assert_string_equal(first.value, "one");
    assert_string_equal(second.value, "one");
    retire(old);
    retire(new);
}

static void test_back_off_goes_on(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    struct waiter waiter;
    want(old, 0, &waiter);
    refuse("read", FAILURE_TRANSIENT);
    turn();
    struct view *new = reload(SIMPLE);
    want(new, 0, &waiter);
    assert_string_equal(waiter.failure, "no"); // told at once
    assert_int_equal(fetches, 1);
    retire(old);
    retire(new);
}

static void test_a_refusal_may_be_tried_again(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    struct waiter waiter;
    want(old, 0, &waiter);
    refuse("read", FAILURE_REFUSED);
    turn();
    want(old, 0, &waiter);
    assert_int_equal(fetches, 1);
    struct view *new = reload(SIMPLE);
    want(new, 0, &waiter);
    uint64_t until = clock_boottime_us() / 1000 + 5000;
    while (fetches < 2 && clock_boottime_us() / 1000 < until) { // the floor between two fetches
        loop_turn(control, 5);
        turn();
    }
    assert_int_equal(fetches, 2);
    succeed("read", "one");
    turn();
    assert_string_equal(waiter.value, "one");
    assert_true(has(old, 0, "one"));
    retire(old);
    retire(new);
}

static void test_another_field_is_another_token_of_the_same_value(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    fill(old, 0, "read", "one");
    struct view *new = reload(
        CREDENTIAL "header = X-Key\nprefix =\nclock_skew = 5m\n" UPSTREAM ROUTE("a", "read"));
    const struct token *before = get(old, 0), *after = get(new, 0);
    assert_true(str_eq(after->header_name, STR("X-Key")));
    assert_true(str_eq(after->header_value, STR("one")));
    assert_true(str_eq(before->header_name, STR("Authorization")));
    assert_true(after->hard_ms + 200000 < before->hard_ms);
    assert_int_equal(after->generation, before->generation);
    assert_int_equal(fetches, 1);
    retire(old);
    assert_int_equal(freed, 1); // the one before was not needed any more
    retire(new);
}

static void test_a_failure_keeps_its_time(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    struct waiter waiter;
    want(old, 0, &waiter);
    refuse("read", FAILURE_TRANSIENT);
    turn();
    uint64_t failed_ms = keeper_facts(keeper, 0).failed_ms;
    assert_true(failed_ms > 0);
    struct view *new = reload(CREDENTIAL "clock_skew = 5m\n" UPSTREAM ROUTE("a", "read"));
    assert_int_equal(made, 2); // it has inherited
    assert_non_null(keeper_facts(keeper, 0).failure);
    assert_int_equal(keeper_facts(keeper, 0).failed_ms, failed_ms);
    retire(old);
    retire(new);
}

static void test_a_credential_by_another_name_keeps_its_token(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    fill(old, 0, "read", "one");
    struct view *new =
        reload("[credential other]\ntoken_url = https://as.test/token\nclient_id = me\n"
               "client_secret = first secret\n" UPSTREAM "[route a]\nmatch = /**\nscopes = read\n");
    assert_true(has(new, 0, "one"));
    assert_int_equal(fetches, 1);
    retire(old);
    retire(new);
}

static void on_got(void *arg, const struct token *token, const struct token_failure *failure)
{
    struct waiter *waiter = arg;
    on_token(&waiter->waiter, token, failure);
}

static void test_who_waits_is_answered_by_the_configuration_of_before(void **state)
{
    (void)state;
    struct view *view = start(SIMPLE);
    struct waiter waiter, got = {.calls = 0};
    want(view, 0, &waiter);
    keeper_get(keeper, 0, on_got, &got);
    struct view *new = reload(CREDENTIAL UPSTREAM ROUTE("a", "write"));
    succeed("read", "old");
    turn();
    assert_string_equal(waiter.value, "old");
    assert_string_equal(got.value, "old");
    retire(view);
    // Without a view, the one who asks keeps it alive.
    keeper_get(keeper, 0, on_got, &got);
    retire(new);
    view = reload(SIMPLE);
    succeed("write", "w");
    turn();
    assert_string_equal(got.value, "w");
    assert_int_equal(got.calls, 2);
    assert_int_equal(freed, 2);
    retire(view);
}

// -- what does not -----------------------------------------------------------------------------

// A rule asks for more: neither gets what is the other's, whoever comes first.
static void test_T18_a_rule_with_a_stronger_scope(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    fill(old, 0, "read", "weak");
    struct view *new = reload(CREDENTIAL UPSTREAM ROUTE("a", "read write"));
    assert_null(get(new, 0));
    assert_true(has(old, 0, "weak"));
    struct waiter waiter;
    want(new, 0, &waiter);
    succeed("read write", "strong");
    turn();
    assert_string_equal(waiter.value, "strong");
    assert_true(has(new, 0, "strong") && has(old, 0, "weak"));
    // The old one's is refused and replaced: that is no news for the new one.
    struct waiter newer = {.waiter.on_token = on_token};
    view_wait_newer(old, 0, get(old, 0)->generation, &newer.waiter);
    turn();
    succeed("read", "weak again");
    turn();
    assert_string_equal(newer.value, "weak again");
    assert_true(has(new, 0, "strong") && has(old, 0, "weak again"));
    retire(old);
    retire(new);
}

// Places in the configuration change; tokens stay with their rules.
static void test_T18_slots_change_places(void **state)
{
    (void)state;
    struct view *old = start(CREDENTIAL UPSTREAM ROUTE("a", "read") ROUTE("b", "write"));
    fill(old, 0, "read", "r");
    struct waiter waits_old, waits_new;
    want(old, 1, &waits_old);
    struct view *new =
        reload(CREDENTIAL UPSTREAM ROUTE("b", "write") ROUTE("c", "list") ROUTE("a", "read"));
    want(new, 0, &waits_new);
    succeed("write", "w");
    turn();
    assert_string_equal(waits_old.value, "w");
    assert_string_equal(waits_new.value, "w");
    assert_true(has(old, 0, "r") && has(old, 1, "w"));
    assert_true(has(new, 0, "w") && has(new, 2, "r"));
    assert_null(get(new, 1));
    fill(new, 1, "list", "l");
    struct waiter newer = {.waiter.on_token = on_token};
    view_wait_newer(new, 2, get(new, 2)->generation, &newer.waiter);
    turn();
    succeed("read", "r2");
    turn();
    assert_true(has(old, 0, "r2") && has(old, 1, "w"));
    retire(old);
    assert_true(has(new, 0, "w") && has(new, 1, "l") && has(new, 2, "r2"));
    retire(new);
}

static void test_T18_another_secret_is_another_client(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    struct waiter waiter;
    want(old, 0, &waiter);
    refuse("read", FAILURE_TRANSIENT); // a hold-off of a minute
    turn();
    struct view *new =
        reload("[credential main]\ntoken_url = https://as.test/token\n"
               "client_id = me\nclient_secret = second secret\n" UPSTREAM ROUTE("a", "read"));
    want(new, 0, &waiter);
    assert_int_equal(fetches, 2); // at once
    // What was counted goes by names; the other client's failure is not this one's.
    assert_int_equal(keeper_stats(keeper, 0).failures, 1);
    assert_int_equal(keeper_stats(keeper, 0).fetches, 2);
    assert_null(keeper_facts(keeper, 0).failure);
    succeed("read", "two");
    turn();
    assert_true(has(new, 0, "two"));
    assert_null(get(old, 0));
    retire(old);
    retire(new);
}

#define WITH_FILE                                                                                  \
    "[credential main]\ntoken_url = https://as.test/token\nclient_id = me\n"                       \
    "client_secret = file:secret\n" UPSTREAM ROUTE("a", "read")

static void test_a_secret_in_a_file(void **state)
{
    (void)state;
    assert_int_equal(chdir(folder), 0);
    write_text(secret_path, "first\n");
    struct view *view = start(WITH_FILE);
    fill(view, 0, "read", "one");
    // Away for the moment: that says nothing about the client.
    unlink(secret_path);
    struct view *next = reload(WITH_FILE);
    assert_true(has(next, 0, "one"));
    retire(view);
    write_text(secret_path, "first");
    view = reload(WITH_FILE);
    assert_true(has(view, 0, "one"));
    retire(next);
    write_text(secret_path, "second\n");
    next = reload(WITH_FILE);
    assert_null(get(next, 0));
    assert_true(has(view, 0, "one"));
    retire(view);
    retire(next);
}

static void test_a_token_is_of_the_secret_it_was_got_with(void **state)
{
    (void)state;
    assert_int_equal(chdir(folder), 0);
    write_text(secret_path, "first\n");
    struct view *view = start(WITH_FILE);
    fill(view, 0, "read", "one");
    // Refused upstream: another is asked for, as somebody else, and has not come.
    write_text(secret_path, "second\n");
    struct waiter newer = {.waiter.on_token = on_token};
    view_wait_newer(view, 0, get(view, 0)->generation, &newer.waiter);
    turn();
    struct view *next = reload(WITH_FILE);
    assert_null(get(next, 0));
    assert_true(has(view, 0, "one"));
    succeed("read", "two"); // to those who asked for it
    turn();
    assert_string_equal(newer.value, "two");
    assert_null(get(next, 0));
    retire(view);
    retire(next);
}

static void test_what_is_removed_goes_with_its_last_user(void **state)
{
    (void)state;
    struct view *old = start(CREDENTIAL UPSTREAM ROUTE("a", "read") ROUTE("b", "write"));
    fill(old, 0, "read", "r");
    fill(old, 1, "write", "w");
    struct view *new = reload(CREDENTIAL UPSTREAM ROUTE("b", "write"));
    assert_true(has(new, 0, "w"));
    assert_true(has(old, 0, "r") && has(old, 1, "w"));
    assert_int_equal(freed, 0);
    struct view *third = reload(CREDENTIAL UPSTREAM ROUTE("b", "write"));
    retire(new); // in between, and gone before the oldest
    assert_true(has(old, 0, "r") && has(old, 1, "w") && has(third, 0, "w"));
    retire(old);
    assert_int_equal(freed, 1);
    assert_true(has(third, 0, "w"));
    retire(third);
}

static void test_what_is_removed_is_not_renewed(void **state)
{
    (void)state;
    struct view *old = start(SIMPLE);
    struct waiter waiter;
    want(old, 0, &waiter);
    answer("read", &(struct source_result){.value = STR("short"), .lifetime_ms = 400});
    turn();
    assert_true(has(old, 0, "short")); // and so it is in use
    struct view *new = reload(CREDENTIAL UPSTREAM ROUTE("b", "write"));
    uint64_t until = clock_boottime_us() / 1000 + 500;
    while (clock_boottime_us() / 1000 < until) {
        loop_turn(control, 10);
        turn();
    }
    assert_int_equal(fetches, 1);
    want(old, 0, &waiter); // for those who still need it there is one
    succeed("read", "late");
    turn();
    assert_string_equal(waiter.value, "late");
    retire(old);
    retire(new);
}

static void test_many_reloads_leave_nothing(void **state)
{
    (void)state;
    struct view *view = start(SIMPLE);
    for (unsigned i = 0; i < 200; i++) {
        struct view *next =
            reload(i % 2 ? SIMPLE : CREDENTIAL UPSTREAM ROUTE("x", "list") ROUTE("a", "read"));
        struct waiter waiter;
        want(next, 0, &waiter);
        if (i % 3 == 0 && !waiter.calls)
            succeed(i % 2 ? "read" : "list", "t");
        turn();
        view_cancel(next, &waiter.waiter);
        retire(view);
        view = next;
    }
    assert_true(made - freed <= 3);
    retire(view);
}

static void test_a_store_that_cannot_be_used_changes_nothing(void **state)
{
    (void)state;
    struct err err = {""};
    struct view *view = start(SIMPLE);
    fill(view, 0, "read", "one");
    char text[1024];
    write_text(secret_path, "no database");
    assert_int_equal(chmod(secret_path, 0644), 0);
    snprintf(text, sizeof text,
             "[store]\nurl = sqlite:%s\nkey = 0123456789abcdef0123456789abcdef\n%s", secret_path,
             CREDENTIAL UPSTREAM ROUTE("a", "write"));
    struct config *config = load(text);
    assert_false(keeper_reload(keeper, config, &err));
    assert_non_null(strstr(err.text, secret_path));
    config_unref(config);
    struct view *next = view_new(worker, keeper);
    turn();
    assert_true(has(view, 0, "one") && has(next, 0, "one"));
    retire(view);
    retire(next);
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_BENCH(test_T36_the_same_identity_keeps_its_token),
        WITH_BENCH(test_a_fetch_under_way_serves_both),
        WITH_BENCH(test_what_was_not_asked_for_yet_is_asked_for_once),
        WITH_BENCH(test_back_off_goes_on),
        WITH_BENCH(test_a_refusal_may_be_tried_again),
        WITH_BENCH(test_another_field_is_another_token_of_the_same_value),
        WITH_BENCH(test_a_failure_keeps_its_time),
        WITH_BENCH(test_a_credential_by_another_name_keeps_its_token),
        WITH_BENCH(test_who_waits_is_answered_by_the_configuration_of_before),
        WITH_BENCH(test_T18_a_rule_with_a_stronger_scope),
        WITH_BENCH(test_T18_slots_change_places),
        WITH_BENCH(test_T18_another_secret_is_another_client),
        WITH_BENCH(test_a_secret_in_a_file),
        WITH_BENCH(test_a_token_is_of_the_secret_it_was_got_with),
        WITH_BENCH(test_what_is_removed_goes_with_its_last_user),
        WITH_BENCH(test_what_is_removed_is_not_renewed),
        WITH_BENCH(test_many_reloads_leave_nothing),
        WITH_BENCH(test_a_store_that_cannot_be_used_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
