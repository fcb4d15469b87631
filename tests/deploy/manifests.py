#!/usr/bin/env python3
"""Checks deploy/kubernetes and deploy/compose.yaml: schemas, and names that refer to each other.

    python3 tests/deploy/manifests.py

Needs the package kubernetes-validate, which brings the schemas of Kubernetes and PyYAML. Prints each
mistake, and exits with 1 if there is one. It talks to no cluster.
"""

import re
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES, COMPOSE = ROOT / "deploy/kubernetes", ROOT / "deploy/compose.yaml"
VERSIONS = ["1.30", "1.33", "1.37"]
# Seconds after the grace time in which queued records are written.
RECORDS_SECONDS = 5

mistakes: list[str] = []


def expect(condition: object, mistake: str):
    if not condition:
        mistakes.append(mistake)


def toml(path: Path) -> dict:
    return tomllib.loads(path.read_text())


def secrets_of(settings: Path) -> set[str]:
    """Names in `env:NAME`."""
    return set(re.findall(r'"env:(\w+)"', settings.read_text()))


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])


def grace_seconds(settings: dict) -> float:
    default = toml(ROOT / "config/default.toml")["server"]["shutdown_grace_ms"]
    return settings.get("server", {}).get("shutdown_grace_ms", default) / 1000


def instruction(name: str) -> str:
    """The argument of the last such instruction of the Dockerfile."""
    return re.findall(rf"^{name} (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]


def render() -> tuple[list[dict], dict]:
    """Resources of the kustomization with its labels, and the kustomization."""
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    files = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    expect(files == set(kustomization["resources"]), "kustomization.yaml does not list exactly the files beside it")
    labels = kustomization["labels"][0]["pairs"]
    resources = []
    for file in sorted(files):
        for resource in yaml.safe_load_all((KUBERNETES / file).read_text()):
            resource["metadata"].setdefault("labels", {}).update(labels)
            if resource["kind"] == "Service":
                resource["spec"].setdefault("selector", {}).update(labels)
            resources.append(resource)
    return resources, kustomization


def check_schemas(resources: list[dict]):
    for resource in resources:
        # A custom resource, whose schema the operator brings.
        if resource["kind"] == "ServiceMonitor":
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(resource, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                mistakes.append(f"{resource['kind']} {resource['metadata']['name']}, Kubernetes {version}: {error}")


def check_references(resources: list[dict], kustomization: dict):
    def of(kind: str) -> list[dict]:
        return [resource for resource in resources if resource["kind"] == kind]

    (deployment,) = of("Deployment")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels, ports = pod["metadata"]["labels"], {port["name"]: port["containerPort"] for port in container["ports"]}

    def selects(selector: dict, where: str):
        expect(selector and selector.items() <= labels.items(), f"{where}: the selector {selector} is not that of the pods")

    selects(deployment["spec"]["selector"]["matchLabels"], "Deployment")
    for spread in pod["spec"]["topologySpreadConstraints"]:
        selects(spread["labelSelector"]["matchLabels"], "topologySpreadConstraints")
    for service in of("Service"):
        selects(service["spec"]["selector"], "Service")
        for port in service["spec"]["ports"]:
            expect(port["targetPort"] in ports, f"Service: no port {port['targetPort']}")
    for policy in of("NetworkPolicy"):
        selects(policy["spec"]["podSelector"]["matchLabels"], "NetworkPolicy")
        allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        expect(allowed == set(ports), f"NetworkPolicy: {allowed} are not the ports {set(ports)}")
        open_to_all = {port["port"] for rule in policy["spec"]["ingress"] if "from" not in rule for port in rule["ports"]}
        expect("admin" not in open_to_all, "NetworkPolicy: the admin listener is open to everyone")
    for budget in of("PodDisruptionBudget"):
        selects(budget["spec"]["selector"]["matchLabels"], "PodDisruptionBudget")
        expect(budget["spec"]["minAvailable"] < deployment["spec"]["replicas"], "PodDisruptionBudget: no pod may be evicted")
    for scaler in of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        expect(target["name"] == deployment["metadata"]["name"], f"HorizontalPodAutoscaler: no {target}")
        expect(scaler["spec"]["minReplicas"] == deployment["spec"]["replicas"], "HorizontalPodAutoscaler: other replicas")
        requested = container["resources"]["requests"]
        used = {metric["resource"]["name"] for metric in scaler["spec"]["metrics"]}
        expect(used <= requested.keys(), f"HorizontalPodAutoscaler: {used} without a request")
    for monitor in of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        services = [service for service in of("Service") if wanted <= service["metadata"]["labels"].items()]
        named = {port["name"] for service in services for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            expect(endpoint["port"] in named, f"ServiceMonitor: no port {endpoint['port']}")
            check_endpoint(endpoint["path"], "ServiceMonitor")
    check_pod(pod["spec"], container, ports, kustomization)


def check_endpoint(path: str, where: str):
    endpoints = (ROOT / "docs/operating.md").read_text().split("## Endpoints")[1].split("\n## ")[0]
    expect(f"`GET {path}`" in endpoints or f"{path}`" in endpoints, f"{where}: {path} is not in docs/operating.md")


def check_pod(pod: dict, container: dict, ports: dict, kustomization: dict):
    for probe in ("readinessProbe", "livenessProbe"):
        get = container[probe]["httpGet"]
        expect(get["port"] in ports, f"{probe}: no port {get['port']}")
        check_endpoint(get["path"], probe)
    (generated,) = kustomization["configMapGenerator"]
    files = set(generated["files"])
    expect(files == {file.name for file in KUBERNETES.glob("*.toml")}, "configMapGenerator does not list exactly the .toml files")
    maps = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
    expect(maps == {generated["name"]}, f"volumes: {maps} is not the generated ConfigMap")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    config = Path(container["args"][container["args"].index("--config") + 1])
    expect("configMap" in mounts.get(str(config.parent), {}) and config.name in files, f"args: no file {config}")
    expect("emptyDir" in mounts.get(instruction("WORKDIR"), {}), "the working directory of the image is not writable")
    security = {**pod["securityContext"], **container["securityContext"]}
    user = f"{security['runAsUser']}:{security['runAsGroup']}"
    expect(user == instruction("USER"), f"securityContext: {user} is not the user of the image")
    hardened = {"runAsNonRoot": True, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    expect(hardened.items() <= security.items(), f"securityContext: {security}")
    expect(security["capabilities"]["drop"] == ["ALL"], "securityContext: capabilities")
    settings = toml(KUBERNETES / config.name)
    expect(settings["rules"]["path"] in files, "[rules] path is not in the ConfigMap")
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    public = environment.get("SWITCHBOARD__SERVER__LISTEN", settings["server"]["listen"])
    expect(port_of(public) == ports["http"], f"the port http is not that of {public}")
    expect(port_of(settings["admin"]["listen"]) == ports["admin"], "the port admin is not that of [admin] listen")
    stop = container["lifecycle"]["preStop"]["sleep"]["seconds"] + grace_seconds(settings) + RECORDS_SECONDS
    expect(pod["terminationGracePeriodSeconds"] >= stop, f"terminationGracePeriodSeconds is below {stop} s")
    documented = set(re.findall(r"--from-literal=(\w+)=", (ROOT / "docs/deploying.md").read_text()))
    needed = secrets_of(KUBERNETES / config.name)
    expect(needed == documented, f"docs/deploying.md creates the secrets {documented}, not {needed}")


def check_compose():
    compose = yaml.safe_load(COMPOSE.read_text())
    services = compose["services"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (COMPOSE.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
            expect(known, f"compose: {name} mounts {source}, which does not exist")
        expect(set(service.get("depends_on", [])) <= services.keys(), f"compose: {name} depends on an unknown service")
        expect(set(service["networks"]) <= compose["networks"].keys(), f"compose: {name} is in an unknown network")
    switchboard = services["switchboard"]
    environment = switchboard["environment"]
    needed = secrets_of(ROOT / "deploy/compose/switchboard.toml")
    expect(switchboard["env_file"] == "secrets.env", "compose: secrets.env is not passed on")
    documented = set(re.findall(r"^([A-Z_]+)=", (ROOT / "docs/deploying.md").read_text(), re.MULTILINE))
    expect(needed <= documented, f"docs/deploying.md does not write {needed - documented} into secrets.env")
    host = environment["DATABASE_URL"].split("@")[1].split("/")[0]
    expect(host in services, f"compose: the database {host} is no service")
    subnet = compose["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    expect(environment["SWITCHBOARD__SERVER__TRUSTED_PROXIES"] == subnet, "compose: the trusted proxies are not the network")
    upstreams = re.findall(r"reverse_proxy (?:\S+ )?(\w+):(\d+)", (ROOT / "deploy/Caddyfile").read_text())
    listen = re.findall(r"SWITCHBOARD__SERVER__LISTEN=(\S+)", (ROOT / "Dockerfile").read_text())[-1]
    expect(upstreams and all(upstream == ("switchboard", str(port_of(listen))) for upstream in upstreams), f"Caddyfile: {upstreams}")
    mounted = [volume.split(":")[1] for volume in switchboard["volumes"]]
    expect(instruction("WORKDIR") in mounted, "compose: the working directory of the image is not writable")
    expect("/etc/switchboard" in mounted, "compose: no settings")
    stop = grace_seconds(toml(ROOT / "deploy/compose/switchboard.toml")) + RECORDS_SECONDS
    expect(float(switchboard["stop_grace_period"].rstrip("s")) >= stop, f"compose: stop_grace_period is below {stop} s")


resources, kustomization = render()
check_schemas(resources)
if not mistakes:
    check_references(resources, kustomization)
    check_compose()
for mistake in mistakes:
    print(mistake, file=sys.stderr)
print(f"manifests: {len(resources)} resources of Kubernetes and the Compose file, {len(mistakes)} mistakes")
sys.exit(1 if mistakes else 0)
