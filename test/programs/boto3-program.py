"""What a Python program does with AWS KMS, on the endpoint that is its only argument. Prints `done`."""

import hashlib
import hmac
import sys

import boto3

kms = boto3.client("kms", endpoint_url=sys.argv[1])


def new_key(**request):
    return kms.create_key(**request)["KeyMetadata"]


def refusal(call):
    try:
        call()
    except kms.exceptions.ClientError as error:
        return type(error), error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    raise AssertionError("it succeeded")


# A data key protects a file; the context must be the same.
key = new_key(Description="by boto3", Tags=[{"TagKey": "for", "TagValue": "boto3"}])
assert key["CreationDate"].tzinfo is not None, key
data_key = kms.generate_data_key(KeyId=key["Arn"], KeySpec="AES_256", EncryptionContext={"file": "a"})
opened = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext={"file": "a"})
assert opened["Plaintext"] == data_key["Plaintext"] and opened["KeyId"] == key["Arn"]
wrong = refusal(lambda: kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext={"file": "b"}))
assert wrong[0] is kms.exceptions.InvalidCiphertextException, wrong

# The paginators see every key and every alias, a few at a time.
keys = [new_key()["KeyId"] for _ in range(7)]
for number, key_id in enumerate(keys):
    kms.create_alias(AliasName=f"alias/boto3-{number}", TargetKeyId=key_id)
pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3})
assert set(keys) <= {entry["KeyId"] for page in pages for entry in page["Keys"]}
pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 2})
targets = {entry["AliasName"]: entry["TargetKeyId"] for page in pages for entry in page["Aliases"]}
assert [targets[f"alias/boto3-{number}"] for number in range(7)] == keys

# Signatures, MACs and randomness.
signer = new_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyId"]
signed = {"KeyId": signer, "Message": b"message", "SigningAlgorithm": "ECDSA_SHA_256"}
signature = kms.sign(**signed)["Signature"]
assert kms.verify(**signed, Signature=signature)["SignatureValid"] is True
forged = refusal(lambda: kms.verify(**{**signed, "Message": b"other"}, Signature=signature))
assert forged[0] is kms.exceptions.KMSInvalidSignatureException, forged
mac_key = new_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
mac = kms.generate_mac(KeyId=mac_key, Message=b"message", MacAlgorithm="HMAC_SHA_256")["Mac"]
assert len(mac) == hashlib.sha256().digest_size and not hmac.compare_digest(mac, bytes(32))
assert len(kms.generate_random(NumberOfBytes=64)["Plaintext"]) == 64

# Refusals are the exceptions that botocore knows.
missing = refusal(lambda: kms.describe_key(KeyId="00000000-0000-4000-8000-000000000000"))
assert missing[0] is kms.exceptions.NotFoundException and "does not exist" in missing[2], missing
print("done", end="")
