// SPDX-License-Identifier: MIT
// See multi.h. libcurl's callbacks only record what it wants (watches, a deadline); libcurl itself
// is called from the loop alone, so that no call ever nests.
#include "http/multi.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

// One socket that libcurl wants watched. Freed a turn later than dropped, since libcurl may drop it
// while its own watch is being called.
struct multi_socket {
    struct watch watch;
    struct multi *multi;
    struct list link;
};

struct multi {
    struct loop *loop;
    CURLM *handle;
    multi_done_fn *on_done;
    void *arg;
    struct timer timer;
    struct task reap_task; // hands out finished transfers, frees dropped sockets
    struct list sockets, dropped;
};

static void multi_reap(struct task *task)
{
    struct multi *multi = CONTAINER_OF(task, struct multi, reap_task);
    struct list *link;
    while ((link = list_take_first(&multi->dropped)))
        mem_free(CONTAINER_OF(link, struct multi_socket, link));
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi->handle, &left)))
        if (message->msg == CURLMSG_DONE)
            multi->on_done(multi->arg, message->easy_handle, (int)message->data.result);
}

static void on_socket_ready(struct watch *watch, unsigned ready)
{
    struct multi *multi = CONTAINER_OF(watch, struct multi_socket, watch)->multi;
    int bits = (ready & LOOP_READ ? CURL_CSELECT_IN : 0) |
               (ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0) |
               (ready & LOOP_HANGUP ? CURL_CSELECT_ERR : 0);
    int running;
    curl_multi_socket_action(multi->handle, watch->fd, bits, &running);
    loop_defer(multi->loop, &multi->reap_task);
}

static void on_timer(struct timer *timer)
{
    struct multi *multi = CONTAINER_OF(timer, struct multi, timer);
    int running;
    curl_multi_socket_action(multi->handle, CURL_SOCKET_TIMEOUT, 0, &running);
    loop_defer(multi->loop, &multi->reap_task);
}

static void multi_drop_socket(struct multi_socket *socket)
{
    watch_stop(socket->multi->loop, &socket->watch);
    list_remove(&socket->link);
    list_append(&socket->multi->dropped, &socket->link);
    loop_defer(socket->multi->loop, &socket->multi->reap_task);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct multi *multi = arg;
    struct multi_socket *socket = socket_arg;
    unsigned events =
        (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
    if (what == CURL_POLL_REMOVE) {
        if (socket)
            multi_drop_socket(socket);
        curl_multi_assign(multi->handle, fd, NULL);
        return 0;
    }
    if (socket) {
        watch_change(multi->loop, &socket->watch, events);
        return 0;
    }
    socket = mem_alloc(sizeof *socket);
    socket->multi = multi;
    socket->watch.on_ready = on_socket_ready;
    list_append(&multi->sockets, &socket->link);
    // If this fails (out of descriptors or memory in the kernel), the transfer runs into its time
    // limit.
    if (!watch_start(multi->loop, &socket->watch, fd, events, NULL))
        return 0;
    curl_multi_assign(multi->handle, fd, socket);
    return 0;
}

static int on_curl_timer(CURLM *handle, long timeout_ms, void *arg)
{
    (void)handle;
    struct multi *multi = arg;
    if (timeout_ms < 0)
        timer_stop(multi->loop, &multi->timer);
    else
        timer_start(multi->loop, &multi->timer, (uint64_t)timeout_ms);
    return 0;
}

struct multi *multi_new(struct loop *loop, multi_done_fn *on_done, void *arg, struct err *err)
{
    CURLM *handle = curl_multi_init();
    if (!handle) {
        err_set(err, "cannot create a libcurl multi handle");
        return NULL;
    }
    struct multi *multi = mem_alloc(sizeof *multi);
    *multi = (struct multi){.loop = loop, .handle = handle, .on_done = on_done, .arg = arg};
    timer_init(&multi->timer, on_timer);
    task_init(&multi->reap_task, multi_reap);
    list_init(&multi->sockets);
    list_init(&multi->dropped);
    curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(handle, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(handle, CURLMOPT_TIMERDATA, multi);
    return multi;
}

void multi_free(struct multi *multi)
{
    if (!multi)
        return;
    curl_multi_cleanup(multi->handle);
    struct list *link;
    while ((link = list_take_first(&multi->sockets))) {
        struct multi_socket *socket = CONTAINER_OF(link, struct multi_socket, link);
        watch_stop(multi->loop, &socket->watch);
        mem_free(socket);
    }
    while ((link = list_take_first(&multi->dropped)))
        mem_free(CONTAINER_OF(link, struct multi_socket, link));
    timer_stop(multi->loop, &multi->timer);
    task_cancel(&multi->reap_task);
    mem_free(multi);
}

bool multi_add(struct multi *multi, void *easy, struct err *err)
{
    CURLMcode code = curl_multi_add_handle(multi->handle, easy);
    return code == CURLM_OK || err_set(err, "libcurl: %s", curl_multi_strerror(code));
}

void multi_remove(struct multi *multi, void *easy)
{
    curl_multi_remove_handle(multi->handle, easy);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *openssl_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_realloc_wiped(ptr, size);
}

static void openssl_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free_wiped(ptr);
}

bool multi_global_init(struct err *err)
{
    // libcurl frees requests with the client's secret in them, OpenSSL's decoder the files of keys.
    // Refused only when OpenSSL holds memory already, as in a second call.
    if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
        log_warn("process.openssl_memory", F_TEXT("text", "what OpenSSL frees is not wiped"));
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, mem_free_wiped,
                                         mem_realloc_wiped, strdup, calloc);
    return code == CURLE_OK || err_set(err, "libcurl: %s", curl_easy_strerror(code));
}

const char *multi_library_version(void)
{
    // Not curl_version(): to name the version of OpenLDAP, too, it starts that library, which looks
    // up this machine's name and loads modules.
    static char text[96];
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    snprintf(text, sizeof text, "%s %s", info->version, info->ssl_version);
    return text;
}
