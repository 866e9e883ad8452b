#pragma once
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Macros with casts and calls do not reach Swift.
static inline int tl_SSL_CTX_only_tls13(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
}
static inline void tl_SSL_CTX_strict_options(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}
static inline int tl_SSL_CTX_algorithms(SSL_CTX *context, const char *signatures, const char *groups) {
  return SSL_CTX_set1_sigalgs_list(context, signatures) && SSL_CTX_set1_groups_list(context, groups);
}
static inline void tl_SSL_CTX_max_certificate_bytes(SSL_CTX *context, long bytes) {
  SSL_CTX_set_max_cert_list(context, bytes);
}
// The unread bytes of a memory BIO, in place.
static inline long tl_BIO_memory(BIO *bio, char **start) { return BIO_get_mem_data(bio, start); }
static inline void tl_BIO_reset(BIO *bio) { (void)BIO_reset(bio); }
static inline size_t tl_BIO_pending(BIO *bio) { return BIO_ctrl_pending(bio); }
