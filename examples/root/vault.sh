#!/bin/sh
# A root command (keys.root.command) for the transit engine of Vault or OpenBao: it wraps
# and unwraps the data key with the key "drawbridge", which never leaves the engine. vault finds its
# server and token as usual, by VAULT_ADDR and VAULT_TOKEN or its agent.
#
#   keys: { root: { command: [ /bin/sh, /etc/drawbridge/vault.sh ] } }
set -eu
bound=$(printf %s "$DRAWBRIDGE_KEY_CONTEXT" | base64 | tr -d '\n')
case $1 in
wrap) tr -d '\n' | vault write -field=ciphertext transit/encrypt/drawbridge plaintext=- associated_data="$bound" ;;
unwrap) tr -d '\n' | vault write -field=plaintext transit/decrypt/drawbridge ciphertext=- associated_data="$bound" ;;
esac
