"""One Redis or Valkey server: connections, errors, rights, the embedded one."""
