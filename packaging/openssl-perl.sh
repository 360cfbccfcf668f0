#!/bin/sh
# perl, as the crate openssl-src calls it (OPENSSL_SRC_PERL): to configure OpenSSL, and to build it. What librdkafka's TLS and
# SCRAM have no use for is left out: it would be a twentieth of the daemon.
case ${1-} in
*Configure)
	exec perl "$@" no-quic no-cmp no-cms no-ct no-ts no-srp no-rfc3779 no-gost no-sm2 no-sm3 no-sm4 no-aria no-rc4 \
		no-mdc2 no-whirlpool no-rmd160 no-bf no-cast no-siphash no-siv no-ocb no-scrypt no-dtls no-dgram \
		no-nextprotoneg no-slh-dsa no-ml-dsa
	;;
esac
exec perl "$@"
