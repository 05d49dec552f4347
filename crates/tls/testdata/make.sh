#!/bin/sh
# Makes the keys and certificates of this folder anew, with OpenSSL 3.5 or later; see README.md.
set -e
folder=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
o() { openssl "$@" 2>/dev/null; }
o genpkey -algorithm ML-DSA-65 -out mldsa65-both.key
for f in seed-only:seed priv-only:expanded bare-seed:bare-seed bare-priv:bare-priv oqskeypair:oqskeypair; do
  o pkey -in mldsa65-both.key -provparam ml-dsa.output_formats=${f%%:*} -out mldsa65-${f##*:}.key
done
o req -x509 -new -key mldsa65-both.key -subj "/O=Fixtures/CN=mldsa65" -addext subjectAltName=DNS:localhost -days 36500 -out mldsa65.pem
o ecparam -name prime256v1 -genkey -out p256-sec1.key
o req -x509 -new -key p256-sec1.key -subj "/O=Fixtures/CN=p256" -addext subjectAltName=DNS:localhost -days 36500 -out p256.pem
o pkcs8 -topk8 -in p256-sec1.key -passout pass:x -out p256-encrypted.key
o ec -in p256-sec1.key -aes128 -passout pass:x -out p256-encrypted-sec1.key
o genrsa -traditional -out rsa2048-pkcs1.key 2048
o req -x509 -new -key rsa2048-pkcs1.key -subj "/O=Fixtures/CN=rsa2048" -addext subjectAltName=DNS:localhost -days 36500 -out rsa2048.pem
o genrsa -out rsa1024.key 1024
o req -x509 -new -key rsa1024.key -subj "/CN=rsa1024" -days 36500 -out rsa1024.pem
o genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out secp256k1.key
o genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit -out explicit.key
o genpkey -algorithm ED448 -out ed448.key
o genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out rsapss.key
o req -new -key p256-sec1.key -subj "/CN=request" -out request.pem
o pkey -in p256-sec1.key -pubout -out public.pem
o genpkey -algorithm ML-DSA-87 -provparam ml-dsa.output_formats=seed-only -out mldsa87-seed.key
o genpkey -algorithm ML-DSA-44 -provparam ml-dsa.output_formats=priv-only -out mldsa44-expanded.key
cat > ca.conf <<C
[ca]
default_ca=d
[d]
database=db
crlnumber=crlnumber
default_md=sha256
C
: > db; echo 01 > crlnumber
o ca -config ca.conf -gencrl -keyfile p256-sec1.key -cert p256.pem -crldays 36500 -out crl.pem
o req -x509 -new -key mldsa87-seed.key -subj "/CN=mldsa87" -addext subjectAltName=DNS:localhost -days 36500 -out mldsa87.pem
o req -x509 -new -key mldsa44-expanded.key -subj "/CN=mldsa44" -addext subjectAltName=DNS:localhost -days 36500 -out mldsa44.pem
o x509 -in p256.pem -trustout -addtrust serverAuth -out trusted.pem
o crl2pkcs7 -nocrl -certfile p256.pem -out bundle.p7b
cp ./*.key ./*.pem bundle.p7b "$folder"
