from haulout import Vault

with Vault.open() as vault:
    memory = vault.remember(
        "The ferry lies at Ribnik, jetty 4. The harbour master is Ilko.",
        speaker="Mira",
        tags=["boat"],
    )
    print("remembered", memory.id[:8])
