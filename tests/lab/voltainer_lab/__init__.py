"""The lab: real Docker engines, registries and an SFTP server, made from Debian packages."""
