"""How the ports are met here. Adapters do not know each other; only the container knows them all."""
