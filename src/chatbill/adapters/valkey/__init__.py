"""What several processes share in a Valkey server. It holds nothing that would be missed if it were lost."""
