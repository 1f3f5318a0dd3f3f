#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

// What Swift does not import: macros and functions without a fixed number of arguments.

static inline EVP_PKEY *phone_tls_new_rsa_key(void) {
    return EVP_RSA_gen(2048);
}

// No sessions to come back to, no read that blocks behind a record without data.
static inline void phone_tls_set_up(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
}

static inline long phone_tls_pending(BIO *bio) {
    return (long)BIO_pending(bio);
}
