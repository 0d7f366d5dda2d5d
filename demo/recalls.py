from haulout import Vault

with Vault.open() as vault:
    for found in vault.recall("who is the harbour master?", limit=2):
        memory = found.memory
        print(f"{found.score:.2f}  {memory.speaker}: {memory.text}")
