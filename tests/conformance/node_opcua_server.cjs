// An OPC-UA server of another stack (node-opcua) for the conformance tests: says where it is in one line, ends with its input.
"use strict";

const crypto = require("crypto");
const path = require("path");
const root = process.argv[2];
const modules = process.argv[3];
const need = (name) => require(require.resolve(name, { paths: [modules] }));

const { OPCUAServer } = need("node-opcua-server");
const { OPCUACertificateManager } = need("node-opcua-certificate-manager");
const { Variant, DataType, VariantArrayType } = need("node-opcua-variant");

async function main() {
    const manager = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(root, "pki") });
    const users = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(root, "users") });
    const server = new OPCUAServer({
        port: Number(process.argv[4] || 0),
        hostname: "127.0.0.1",
        serverCertificateManager: manager,
        userCertificateManager: users,
        serverInfo: { applicationUri: "urn:toolcrib:conformance" },
        allowAnonymous: true,
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const names = space.registerNamespace("urn:toolcrib:bench");
    const state = names.addEnumerationType({ browseName: "MachineState", enumeration: ["Idle", "Running", "Failed"] });
    let level = 0;
    const add = (name, dataType, get, extra) => names.addVariable({
        browseName: name, nodeId: `s=${name}`, organizedBy: space.rootFolder.objects, dataType, minimumSamplingInterval: 20,
        value: { timestamped_get: undefined, get }, ...extra,
    });
    add("level", "Double", () => new Variant({ dataType: DataType.Double, value: level }));
    add("count", "UInt32", () => new Variant({ dataType: DataType.UInt32, value: 70000 }));
    add("words", "String", () => new Variant({ dataType: DataType.String, value: "running" }));
    add("list", "Double", () => new Variant({ dataType: DataType.Double, arrayType: VariantArrayType.Array, value: new Float64Array([1.5, 2.5]) }),
        { valueRank: 1, arrayDimensions: [2] });
    add("state", state.nodeId, () => new Variant({ dataType: DataType.Int32, value: 1 }));
    for (let number = 0; number < 1500; number++) {
        add(`t${number}`, "Double", () => new Variant({ dataType: DataType.Double, value: number + 0.5 }));
    }
    setInterval(() => { level += 1; }, 20);
    await server.start();
    const certificate = server.getCertificate();
    console.log(JSON.stringify({
        url: server.getEndpointUrl(),
        fingerprint: "sha256:" + crypto.createHash("sha256").update(certificate).digest("hex"),
    }));
    process.stdin.on("end", async () => { await server.shutdown(); process.exit(0); });
    process.stdin.resume();
}

main().catch((error) => { console.error(error); process.exit(1); });
