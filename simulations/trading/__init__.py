"""How much does memory help a bot that acts? Paired sessions with real faults, in virtual time."""
