// SPDX-License-Identifier: MIT
// See tls.h.
#include "http/tls.h"

#include <curl/curl.h>

#define CA_KEPT_S 60 // a replaced file is noticed after that time

void tls_apply(void *easy, const struct tls_options *options)
{
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(
        easy, CURLOPT_SSLVERSION,
        (long)(options->is_13_only ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2));
    // Those of the file and no others: the system's folder would be searched as well; and with a
    // folder nothing of what was parsed is kept for the next request, which takes 20 ms and more.
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (options->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    if (options->cert_file) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
        curl_easy_setopt(easy, CURLOPT_SSLKEY,
                         options->key_file ? options->key_file : options->cert_file);
    }
    if (options->ciphers)
        curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, options->ciphers);
    if (options->ciphersuites)
        curl_easy_setopt(easy, CURLOPT_TLS13_CIPHERS, options->ciphersuites);
    if (options->pin)
        curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, options->pin);
}

void tls_forget_authorities(void *easy, uint64_t age_max_s)
{
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT,
                     (long)(age_max_s < CA_KEPT_S ? age_max_s : CA_KEPT_S));
    // A session that is resumed is not verified again: an authority that was taken out would go on.
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}
