// SPDX-License-Identifier: MIT
// `bearerd explain`: what would happen to a request, told by the very functions that serve it. It
// sends nothing, asks for no token and prints no secret: where a token would stand, its credential
// is named.
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "proxy/connect.h"
#include "proxy/inject.h"
#include "proxy/override.h"
#include "proxy/policy.h"
#include "proxy/trace.h"

#define HEAD_MAX      (1u << 20)
#define LISTEN_TO_ANY "127.0.0.1:8080" // when the configuration leaves the port to the system

struct question {
    const char *config_path;
    struct str method, url;
    struct fields fields;
    size_t given_count; // of the fields: a Host that was left out follows them
    struct str host_field;

    struct policy *policy;
    struct target target;
    struct str host; // normalised
    struct route_choice choice;
};

// ---- the answers

static int refused(int status, const char *type, const char *why)
{
    printf("answer      %d %s\n"
           "because     %s\n",
           status, type, why);
    return EXIT_FAILED;
}

static bool is_refused(struct caller_verdict verdict)
{
    if (verdict.status)
        refused(verdict.status, verdict.type, verdict.why);
    return verdict.status != 0;
}

static void print_place(struct config_place place)
{
    printf("(%s:%u)\n", place.file, place.line);
}

static void print_route(const struct route_choice *choice)
{
    const struct config_upstream *upstream = choice->upstream;
    printf("upstream    %s  %s  ", upstream->name, upstream->url.text);
    print_place(upstream->place);
    if (!choice->route) {
        printf("route       none: forwarded without a token (unmatched = pass)\n");
        return;
    }
    printf("route       %s  ", choice->route->name);
    print_place(choice->route->place);
    printf("rule        match = %s  ", choice->match->text);
    print_place(choice->match->place);
    for (size_t i = 0; i < choice->route->slot_count; i++) {
        const struct config_slot *slot = choice->route->slots[i];
        printf("credential  %s  ", slot->credential->name);
        print_place(slot->credential->place);
        printf("scopes      %s\n", *slot->scope ? slot->scope : "(none asked for)");
        if (slot->audience)
            printf("audience    %s\n", slot->audience);
        for (size_t j = 0; j < slot->resource.count; j++)
            printf("resource    %s\n", slot->resource.items[j]);
    }
    if (!choice->route->slot_count)
        printf("credential  none\n");
}

// ---- the head, with names in place of tokens

static bool line_next(struct str *rest, struct str *out_line)
{
    if (!str_split(rest, '\n', out_line))
        return false;
    if (out_line->len)
        out_line->len--; // the CR
    return out_line->len > 0;
}

static bool line_is(struct str line, const struct field *field)
{
    return line.len == field->name.len + 2 + field->value.len && str_starts(line, field->name) &&
           str_ends(line, field->value);
}

static bool head_has(struct str head, const struct field *field)
{
    struct str line;
    while (line_next(&head, &line))
        if (line_is(line, field))
            return true;
    return false;
}

static bool client_sent(const struct fields *fields, struct str line)
{
    for (size_t i = 0; i < fields->count; i++)
        if (line_is(line, &fields->items[i]))
            return true;
    return false;
}

static void print_head(const struct question *question, struct str head)
{
    struct str line, word, rest = head;
    if (line_next(&rest, &line) && str_word(&line, &word) && str_word(&line, &word))
        printf("sent path   %.*s\n", STR_ARG(word));
    for (size_t i = 0; i < question->given_count; i++)
        if (!head_has(rest, &question->fields.items[i]))
            printf("dropped     %.*s\n", STR_ARG(question->fields.items[i].name));
    while (line_next(&rest, &line))
        printf("%s%.*s\n", client_sent(&question->fields, line) ? "kept        " : "set         ",
               STR_ARG(line));
}

static void placeholder_init(struct token *token, const struct config_credential *credential,
                             struct buf *text)
{
    if (!buf_printf(text, "%s%s<access token of %s>", credential->prefix,
                    *credential->prefix ? " " : "", credential->name))
        buf_clear(text);
    *token =
        (struct token){.header_name = str_of(credential->header), .header_value = buf_str(text)};
}

// What bearerd would make up itself.
static void names_describe(const struct question *question, struct inject_input *input)
{
    const struct config *config = question->policy->config;
    static char later[TRACE_PARENT_LEN];
    if (config->request_id == REQUEST_ID_MAKE && !fields_find(input->fields, STR("X-Request-Id")))
        input->request_id = STR("<new id>");
    if (!config->trace)
        return;
    enum trace_parent parent = trace_parent(input->fields, later);
    input->drops_tracestate = parent == TRACE_BROKEN || !trace_state_fits(input->fields);
    if (parent != TRACE_VALID)
        input->traceparent =
            parent == TRACE_LATER ? (struct str){later, sizeof later} : STR("<new trace>");
}

static bool head_build(const struct question *question, struct buf *out)
{
    const struct config_route *route = question->choice.route;
    size_t count = route ? route->slot_count : 0;
    struct token *tokens = mem_array(count, sizeof *tokens);
    const struct token **views = mem_array(count, sizeof(void *));
    struct buf *texts = mem_array(count, sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        buf_init(&texts[i], HEAD_MAX);
        placeholder_init(&tokens[i], route->slots[i]->credential, &texts[i]);
        views[i] = &tokens[i];
    }
    struct inject_input input = {
        .method = question->method,
        .rest = question->choice.rest,
        .query = question->target.query,
        .has_query = question->target.has_query,
        .fields = &question->fields,
        .upstream = question->choice.upstream,
        .route = route,
        .tokens = views,
        .peer = STR("127.0.0.1"),
        .host = question->host,
    };
    names_describe(question, &input);
    bool is_built = !is_refused(inject_check(&input)) && inject_head(&input, out);
    for (size_t i = 0; i < count; i++)
        buf_fini(&texts[i]);
    mem_free(texts);
    mem_free(views);
    mem_free(tokens);
    return is_built;
}

// ---- the journey

static int explain_head(const struct question *question)
{
    struct buf head;
    buf_init(&head, HEAD_MAX);
    bool is_built = head_build(question, &head);
    if (is_built) {
        print_route(&question->choice);
        print_head(question, buf_str(&head));
    }
    buf_fini(&head);
    return is_built ? EXIT_DONE : EXIT_FAILED;
}

static int explain_route(struct question *question)
{
    bool is_unix = str_starts(str_of(question->policy->config->listen.items[0]), STR("unix:"));
    const struct caller caller = {
        .host = question->host,
        .is_absolute = question->target.form == TARGET_ABSOLUTE,
        .is_unix = is_unix,
        .uid = (uint32_t)getuid(),
        .method = question->method,
        .fields = &question->fields,
    };
    if (is_refused(caller_check(question->policy->callers, &caller)))
        return EXIT_FAILED;
    question->choice =
        route_find(question->policy->routes, question->method, &question->target, question->host);
    if (is_refused(route_refusal(question->choice.verdict))) {
        const struct config_upstream *upstream = question->choice.upstream;
        if (upstream)
            printf("upstream    %s  %s\n", upstream->name, upstream->url.text);
        return EXIT_FAILED;
    }
    const struct override_input override = {
        question->policy->routes, question->method,  &question->target,
        question->host,           &question->fields, &question->choice,
    };
    return is_refused(override_check(&override)) ? EXIT_FAILED : explain_head(question);
}

static int explain_connect(const struct question *question)
{
    const char *place = "";
    if (is_refused(connect_check(question->policy->config, &question->target, &place)))
        return EXIT_FAILED;
    printf("tunnel      %s\ncredential  none: no token can be put into a tunnel\n", place);
    return EXIT_DONE;
}

static int explain_target(struct question *question)
{
    const char *why;
    bool is_connect = str_eq(question->method, STR("CONNECT"));
    if (!is_connect && is_refused(caller_check_method(question->method)))
        return EXIT_FAILED;
    if (!target_parse(question->url, question->method, &question->target, &why))
        return refused(400, "bad-target", why);
    if (is_connect)
        return explain_connect(question);
    struct str authority =
        question->target.authority.len ? question->target.authority : question->host_field;
    char *normal = mem_alloc(authority.len + 1);
    int code = EXIT_FAILED;
    if (target_normal_host(&question->target, question->host_field, normal, &question->host.len)) {
        question->host.ptr = normal;
        code = explain_route(question);
    } else {
        refused(400, "malformed-request", "the Host field is not a valid host[:port]");
    }
    mem_free(normal);
    return code;
}

// The Host a client would send that is pointed at the first listen address.
static bool host_complete(struct question *question, const struct config *config)
{
    const struct field *field = fields_find(&question->fields, STR("Host"));
    if (!field) {
        struct str listen = str_of(config->listen.count ? config->listen.items[0] : "");
        if (str_starts(listen, STR("unix:")))
            listen = STR("localhost");
        else if (!listen.len || str_ends(listen, STR(":0")) || str_starts(listen, STR("fd:")))
            listen = STR(LISTEN_TO_ANY);
        return fields_add(&question->fields, STR("Host"), listen) &&
               host_complete(question, config);
    }
    question->host_field = field->value;
    return true;
}

static int explain_with(struct question *question, struct config *config,
                        struct config_faults *faults)
{
    char any[] = LISTEN_TO_ANY;
    char *items[] = {any};
    const struct config_strings bound = {items, 1};
    bool leaves_port = false;
    for (size_t i = 0; i < config->listen.count; i++)
        leaves_port |= str_ends(str_of(config->listen.items[i]), STR(":0")) ||
                       str_starts(str_of(config->listen.items[i]), STR("fd:"));
    if (!config->listen.count || !host_complete(question, config))
        return EXIT_FAILED;
    question->policy = policy_new(config, leaves_port ? &bound : NULL, NULL, faults);
    if (!question->policy)
        return EXIT_FAILED;
    printf("request     %.*s %.*s\n", STR_ARG(question->method), STR_ARG(question->url));
    int code = explain_target(question);
    policy_unref(question->policy);
    return code;
}

static int explain_run(struct question *question)
{
    struct config_faults faults = {0};
    struct config *config = config_load(question->config_path, &faults);
    int code = EXIT_FAILED;
    if (config)
        code = explain_with(question, config, &faults);
    config_faults_sort(&faults);
    for (size_t i = 0; i < faults.count; i++)
        fprintf(stderr, "%s:%u: %s\n", faults.items[i].file, faults.items[i].line,
                faults.items[i].message);
    config_unref(config);
    config_faults_fini(&faults);
    return code;
}

// ---- the command line

static bool field_parse(struct fields *fields, const char *text)
{
    struct str line = str_of(text);
    size_t colon;
    if (!str_find(line, ':', &colon))
        return false;
    struct str name = {line.ptr, colon}, value = str_trim(str_from(line, colon + 1));
    return field_name_is_valid(name) && field_value_is_valid(value) &&
           fields_add(fields, name, value);
}

static int usage(const char *why)
{
    fprintf(stderr,
            "bearerd explain: %s\n"
            "usage: bearerd explain [-c FILE] [-H 'NAME: VALUE']… METHOD URL\n",
            why);
    return EXIT_USAGE;
}

int cli_explain(int argc, char **argv)
{
    struct question question = {.config_path = DEFAULT_CONFIG_PATH};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt(argc, argv, "c:H:")) != -1) {
        if (option == 'c')
            question.config_path = optarg;
        else if (option != 'H')
            return usage("unknown option, or one without its value");
        else if (!field_parse(&question.fields, optarg))
            return usage("-H wants a valid 'NAME: VALUE', and at most 128 of them");
    }
    if (argc - optind != 2)
        return usage("wants a method and a URL or path");
    question.given_count = question.fields.count;
    question.method = str_of(argv[optind]);
    question.url = str_of(argv[optind + 1]);
    if (!str_is_token(question.method))
        return usage("the method is not a valid token");
    return explain_run(&question);
}
