#!/usr/bin/env python3
"""Writes what the shipped programs are made of: a CycloneDX bill of materials and the licences of others.

Usage: sbom.py REPOSITORY OUT_DIR: makes OUT_DIR/gopherd.cdx.json and OUT_DIR/THIRD-PARTY.txt.

What counts is what cargo resolves for the package gopherd without development and build dependencies, and the libraries in
C whose sources some crates bring along. The same sources give the same bytes: nothing of the machine or of the time is in
it, and the serial number is made of the content.
"""

import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

TARGET = "x86_64-unknown-linux-gnu"
LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|UNLICENSE)[^/]*", re.IGNORECASE)


def first_group(pattern):
    """A reader of the version from a file of the library."""
    return lambda text: re.search(pattern, text).group(1)


def mimalloc_version(text):
    number = int(re.search(r"define MI_MALLOC_VERSION +([0-9]+)", text).group(1))
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


# Libraries in C: the crate that brings the sources and the folder there, name, licence, purl, and where the version is: behind
# the plus sign of the crate's own (None), or in a file of the folder.
VENDORED = [
    ("libbpf-sys", "libbpf", "libbpf", "LGPL-2.1-only OR BSD-2-Clause", "pkg:github/libbpf/libbpf@v{}", None),
    (
        "libbpf-sys",
        "elfutils",
        "elfutils (libelf)",
        "GPL-2.0-or-later OR LGPL-3.0-or-later",
        "pkg:generic/elfutils@{}",
        ("configure.ac", first_group(r"AC_INIT\(\[elfutils\],\[([0-9.]+)\]")),
    ),
    (
        "libbpf-sys",
        "zlib",
        "zlib",
        "Zlib",
        "pkg:github/madler/zlib@v{}",
        ("zlib.h", first_group(r'define ZLIB_VERSION "([0-9.]+)')),
    ),
    ("rdkafka-sys", "librdkafka", "librdkafka", "BSD-2-Clause", "pkg:github/confluentinc/librdkafka@v{}", None),
    ("openssl-src", "openssl", "OpenSSL", "Apache-2.0", "pkg:github/openssl/openssl@openssl-{}", None),
    # A second one, which librdkafka is linked with.
    (
        "libz-sys",
        "src/zlib",
        "zlib",
        "Zlib",
        "pkg:github/madler/zlib@v{}",
        ("zlib.h", first_group(r'define ZLIB_VERSION "([0-9.]+)')),
    ),
    (
        "libmimalloc-sys",
        "c_src/mimalloc/v3",
        "mimalloc",
        "MIT",
        "pkg:github/microsoft/mimalloc@v{}",
        ("include/mimalloc.h", mimalloc_version),
    ),
    ("zstd-sys", "zstd", "zstd", "BSD-3-Clause", "pkg:github/facebook/zstd@v{}", None),
]


def shipped(metadata):
    """The packages that are linked into the programs."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(id for id, package in packages.items() if package["name"] == "gopherd")
    found, waiting = set(), [root]
    while waiting:
        id = waiting.pop()
        # A procedural macro runs in the compiler, and nothing of it or below it is linked.
        if id in found or any("proc-macro" in target["kind"] for target in packages[id]["targets"]):
            continue
        found.add(id)
        for dependency in nodes[id]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return sorted((packages[id] for id in found), key=lambda package: (package["name"], package["version"]))


def licence(expression):
    # Older crates write a slash for OR.
    return re.sub(r" */ *", " OR ", expression or "NOASSERTION")


def component(package, checksums):
    name, version = package["name"], package["version"]
    entry = {
        "type": "library",
        "bom-ref": f"pkg:cargo/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:cargo/{name}@{version}",
        "licenses": [{"expression": licence(package["license"])}],
    }
    if checksum := checksums.get((name, version)):
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def vendored(all_packages):
    """The libraries in C. A crate that only compiles one is a build dependency, so they are looked for among all."""
    for crate, below, name, expression, purl, where in VENDORED:
        package = next((package for package in all_packages if package["name"] == crate), None)
        if package is None:
            raise SystemExit(f"sbom.py: {crate} is no dependency any more: {name} must leave the list")
        if where is None:
            version = package["version"].split("+", 1)[1].removeprefix("zstd.").removeprefix("v")
        else:
            file, read = where
            version = read(folder(package).joinpath(below, file).read_text())
        yield folder(package) / below, {
            "type": "library",
            "bom-ref": purl.format(version),
            "name": name,
            "version": version,
            "purl": purl.format(version),
            "licenses": [{"expression": expression}],
            "properties": [{"name": "gopherd:vendored-by", "value": f"{crate} {package['version']}"}],
        }


def folder(package):
    return pathlib.Path(package["manifest_path"]).parent


def manifest(package):
    authors = ", ".join(package["authors"]) or "its authors"
    return f"Copyright {authors}. Its package has no file of the licence, which is {licence(package['license'])}."


def texts(sources):
    """Each licence text once, with whose it is; for a crate that brings none, what its manifest says."""
    whose = {}
    for place, owner, manifest in sources:
        files = sorted(path for path in place.iterdir() if LICENCE_FILE.fullmatch(path.name) and path.is_file())
        if not files:
            whose.setdefault(manifest, []).append(owner)
        for path in files:
            text = path.read_text(errors="replace").replace("\r\n", "\n").strip()
            whose.setdefault(text, []).append(owner)
    return whose


def third_party(packages, libraries):
    lines = ["What gopherd is made of beside its own sources, and under which licences.", ""]
    for package in packages:
        lines.append(f"{package['name']} {package['version']}: {licence(package['license'])}")
    sources = [(folder(package), f"{package['name']} {package['version']}", manifest(package)) for package in packages]
    for place, library in libraries:
        name = f"{library['name']} {library['version']}"
        lines.append(f"{name} (in C): {library['licenses'][0]['expression']}")
        sources.append((place, name, library["licenses"][0]["expression"]))
    for text, owners in sorted(texts(sources).items(), key=lambda entry: sorted(entry[1])):
        lines += ["", "=" * 100, ", ".join(sorted(set(owners))), "", text]
    return "\n".join(lines) + "\n"


def main():
    repository, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.check_output(command, cwd=repository))
    lock = tomllib.loads((repository / "Cargo.lock").read_text())
    checksums = {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}
    packages = shipped(metadata)
    own = {package["name"]: package["version"] for package in packages if package["source"] is None}
    others = [package for package in packages if package["source"] is not None]
    libraries = list(vendored(metadata["packages"]))
    components = [component(package, checksums) for package in others] + [library for _, library in libraries]
    serial = uuid.UUID(bytes=hashlib.sha256(json.dumps(components).encode()).digest()[:16], version=4)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "gopherd",
                "name": "gopherd",
                "version": own["gopherd"],
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": components,
        "dependencies": [{"ref": "gopherd", "dependsOn": sorted(c["bom-ref"] for c in components)}],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "gopherd.cdx.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "THIRD-PARTY.txt").write_text(third_party(others, libraries))
    print(f"sbom: {len(others)} crates and {len(libraries)} libraries in C")


main()
