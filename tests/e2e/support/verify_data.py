"""Verifies an x-amzn-oidc-data header as AWS's own sample does, with PyJWT.

Standard input: {"data", "public_key", "signer", "issuer"}. Prints the claims; ends with status 1 and the error's name if it does not verify.
"""

import json
import sys

import jwt

asked = json.load(sys.stdin)
if jwt.get_unverified_header(asked["data"])["signer"] != asked["signer"]:
    sys.exit("signer")
try:
    claims = jwt.decode(asked["data"], asked["public_key"], algorithms=["ES256"], issuer=asked["issuer"])
except jwt.InvalidTokenError as error:
    sys.exit(type(error).__name__)
print(json.dumps(claims))
