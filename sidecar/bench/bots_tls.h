// TLS for the bots. OpenSSL is loaded when the first `wss://` comes, so that nobody else needs it; its headers nobody does.
// What comes is handed to it, and what it says is sent, so that the bots' own reading and its clock stay as they are.
#pragma once
#include <dlfcn.h>

#define SSL_FUNCTIONS(X) \
    X(void *, TLS_server_method, (void)) \
    X(void *, SSL_CTX_new, (const void *)) \
    X(int, SSL_CTX_use_certificate, (void *, void *)) \
    X(int, SSL_CTX_use_PrivateKey, (void *, void *)) \
    X(void *, SSL_new, (void *)) \
    X(void, SSL_free, (void *)) \
    X(void, SSL_set_accept_state, (void *)) \
    X(void, SSL_set_bio, (void *, void *, void *)) \
    X(int, SSL_read, (void *, void *, int)) \
    X(int, SSL_write, (void *, const void *, int)) \
    X(void *, BIO_new, (const void *)) \
    X(const void *, BIO_s_mem, (void)) \
    X(int, BIO_read, (void *, void *, int)) \
    X(int, BIO_write, (void *, const void *, int)) \
    X(void *, EVP_PKEY_Q_keygen, (void *, const char *, const char *, ...)) \
    X(void *, X509_new, (void)) \
    X(void *, X509_getm_notBefore, (const void *)) \
    X(void *, X509_getm_notAfter, (const void *)) \
    X(void *, X509_gmtime_adj, (void *, long)) \
    X(int, X509_set_pubkey, (void *, void *)) \
    X(int, X509_sign, (void *, void *, const void *)) \
    X(const void *, EVP_sha256, (void))

#define DECLARE(type, name, arguments) static type(*name) arguments;
SSL_FUNCTIONS(DECLARE)

struct tls {
    void *ssl, *in, *out;  // what came, and what is to be sent
};

static void *load_library(const char *file) {
    void *library = dlopen(file, RTLD_NOW);
    if (!library) fprintf(stderr, "the bots: %s\n", dlerror()), exit(1);
    return library;
}

static void *find(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) fprintf(stderr, "the bots: %s\n", dlerror()), exit(1);
    return found;
}

// What all connections share: a key and a certificate for it, of this minute; who calls does not ask whose it is.
static void *tls_context(void) {
    static void *context;
    if (context) return context;
    void *library = load_library("libssl.so.3");
#define FIND(type, name, arguments) name = find(library, #name);
    SSL_FUNCTIONS(FIND)
    void *key = EVP_PKEY_Q_keygen(0, 0, "EC", "P-256"), *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 7 * 86400);
    X509_set_pubkey(certificate, key);
    context = SSL_CTX_new(TLS_server_method());
    if (!X509_sign(certificate, key, EVP_sha256()) || SSL_CTX_use_certificate(context, certificate) != 1
        || SSL_CTX_use_PrivateKey(context, key) != 1)
        fputs("the bots' certificate\n", stderr), exit(1);
    return context;
}

static struct tls *open_tls(void) {
    struct tls *tls = malloc(sizeof *tls);
    void *context = tls_context();
    *tls = (struct tls){SSL_new(context), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

static void close_tls(struct tls *tls) {
    if (tls) SSL_free(tls->ssl);
    free(tls);
}
