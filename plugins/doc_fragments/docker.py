# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options for the connection to the Docker Engine."""

from __future__ import annotations


class ModuleDocFragment:
    """The documentation fragment `voltainer.volumes.docker`."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - The address of the Docker Engine, C(unix://), C(tcp://) or C(ssh://).
      - Where the task does not set it, the environment variable E(DOCKER_HOST) is used.
    type: str
    default: unix:///var/run/docker.sock
    aliases: [docker_url]
  tls_hostname:
    description:
      - The name that the engine's certificate must have, where it is not the one in O(docker_host).
      - Docker SDK for Python 7.0 and later cannot check this; the task fails there when it is set.
      - Where the task does not set it, the environment variable E(DOCKER_TLS_HOSTNAME) is used.
    type: str
  api_version:
    description:
      - The version of the Engine API to speak; V(auto) takes the newest that engine and SDK share.
      - Where the task does not set it, the environment variable E(DOCKER_API_VERSION) is used.
    type: str
    default: auto
    aliases: [docker_api_version]
  timeout:
    description:
      - How many seconds to wait for an answer of the engine.
      - Calls that a volume driver or a registry must answer get at least 180 seconds, since drivers may take two
        minutes.
      - Where the task does not set it, the environment variable E(DOCKER_TIMEOUT) is used.
    type: int
    default: 60
  ca_path:
    description:
      - The file with the certificate of the authority that signed the engine's certificate.
      - Where the task does not set it, C(ca.pem) in the folder E(DOCKER_CERT_PATH) is used.
    type: path
    aliases: [ca_cert, tls_ca_cert, cacert_path]
  client_cert:
    description:
      - The file with the client's certificate.
      - Where the task does not set it, C(cert.pem) in the folder E(DOCKER_CERT_PATH) is used.
    type: path
    aliases: [tls_client_cert, cert_path]
  client_key:
    description:
      - The file with the client's key.
      - Where the task does not set it, C(key.pem) in the folder E(DOCKER_CERT_PATH) is used.
    type: path
    aliases: [tls_client_key, key_path]
  tls:
    description:
      - Use TLS without checking who the engine is. O(validate_certs=true) checks it.
      - Where the task does not set it, the environment variable E(DOCKER_TLS) is used.
    type: bool
    default: false
  use_ssh_client:
    description:
      - For C(ssh://), use the C(ssh) command and its configuration instead of paramiko.
    type: bool
    default: false
  validate_certs:
    description:
      - Use TLS, and check the engine's certificate.
      - Where the task does not set it, the environment variable E(DOCKER_TLS_VERIFY) is used.
    type: bool
    default: false
    aliases: [tls_verify]
requirements:
  - Python 3.9 or newer on the host that runs the module
  - Docker Engine 20.10 or newer
notes:
  - The options, defaults and environment variables of the connection are those of the modules in
    C(community.docker), so that both can share their C(module_defaults).
"""

    # For modules that need the SDK only where the engine is not reached by its socket.
    SOCKET = r"""
options: {}
requirements:
  - Docker SDK for Python (C(docker)) 5.0.3 or newer there, where O(docker_host) is not a C(unix://) socket;
    C(python3-docker) on Debian
"""

    # For modules that ask registries.
    REGISTRY = r"""
options:
  registry_username:
    description:
      - The user name for the registry. Given with O(registry_password), which then counts alone.
      - Without it, the C(docker login) of the user who runs the task on the host counts, in its C(config.json) or in a
        credential helper.
    type: str
  registry_password:
    description:
      - The password, or access token, for O(registry_username).
    type: str
requirements:
  - Docker SDK for Python (C(docker)) 5.0.3 or newer there, where the task asks a registry or O(docker_host) is not a
    C(unix://) socket; C(python3-docker) on Debian
"""
