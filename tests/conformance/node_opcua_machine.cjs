// A machine of another stack (node-opcua) that loads the published companion NodeSets: says where it is in one line.
"use strict";

const crypto = require("crypto");
const path = require("path");
const root = process.argv[2];
const modules = process.argv[3];
const need = (name) => require(require.resolve(name, { paths: [modules] }));

const { OPCUAServer } = need("node-opcua-server");
const { OPCUACertificateManager } = need("node-opcua-certificate-manager");
const { Variant, DataType, VariantArrayType } = need("node-opcua-variant");
const { nodesets } = need("node-opcua-nodesets");
const { standardUnits } = need("node-opcua-data-access");
const { coerceLocalizedText } = need("node-opcua-data-model");

const DI = "http://opcfoundation.org/UA/DI/";
const MACHINERY = "http://opcfoundation.org/UA/Machinery/";
const MACHINE_TOOL = "http://opcfoundation.org/UA/MachineTool/";

async function main() {
    const manager = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(root, "pki") });
    const users = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(root, "users") });
    const server = new OPCUAServer({
        port: 0,
        hostname: "127.0.0.1",
        serverCertificateManager: manager,
        userCertificateManager: users,
        serverInfo: { applicationUri: "urn:toolcrib:conformance:machine" },
        allowAnonymous: true,
        nodeset_filename: [nodesets.standard, nodesets.di, nodesets.ia, nodesets.machinery, nodesets.isa95JobControl,
            nodesets.machineryJobs, nodesets.machineTool],
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("urn:toolcrib:conformance:press");
    const di = space.getNamespaceIndex(DI), machinery = space.getNamespaceIndex(MACHINERY), tool = space.getNamespaceIndex(MACHINE_TOOL);
    const set = (owner, name, dataType, value, more) => {
        const child = owner.getChildByName(name);
        if (!child) throw new Error(`${owner.browseName} has no ${name}`);
        child.setValueFromSource({ dataType, value, ...more });
    };
    const nameplate = (owner, type, [maker, model, code, serial]) => {
        const made = space.findObjectType(type, machinery).instantiate({
            browseName: { name: "Identification", namespaceIndex: di }, componentOf: owner, optionals: ["Model", "ProductCode"],
        });
        set(made, "Manufacturer", DataType.LocalizedText, coerceLocalizedText(maker));
        set(made, "SerialNumber", DataType.String, serial);
        set(made, "Model", DataType.LocalizedText, coerceLocalizedText(model));
        set(made, "ProductCode", DataType.String, code);
    };

    const machines = space.findNode(`ns=${machinery};i=1001`);
    const press = own.addObject({ browseName: "Press 7", organizedBy: machines });
    nameplate(press, "MachineIdentificationType", ["Presswerk", "P7", "PW-7", "S-1"]);
    const parts = space.findObjectType("MachineComponentsType", machinery).instantiate({
        browseName: { name: "Components", namespaceIndex: machinery }, componentOf: press,
    });
    const pump = own.addObject({ browseName: "Pump", componentOf: parts });
    nameplate(pump, "MachineryComponentIdentificationType", ["Pumpwerk", "PX", "PX-200", "S-2"]);
    const counters = own.addObject({ browseName: { name: "LifetimeCounters", namespaceIndex: machinery }, componentOf: pump });
    const life = space.findVariableType("LifetimeVariableType", di).instantiate({
        browseName: "SealStrokes", componentOf: counters, dataType: "Double", optionals: ["Indication", "WarningValues"],
        value: { dataType: DataType.Double, value: 1234 },
    });
    set(life, "StartValue", DataType.Double, 9000);
    set(life, "LimitValue", DataType.Double, 1000);
    set(life, "Indication", DataType.NodeId, space.findObjectType("NumberOfUsagesIndicationType", di).nodeId);
    set(life, "WarningValues", DataType.Double, new Float64Array([2000, 1500]), { arrayType: VariantArrayType.Array });

    const mill = space.findObjectType("MachineToolType", tool).instantiate({
        browseName: "Mill 9", organizedBy: machines, optionals: ["Notification.Prognoses"],
    });
    const identification = mill.getChildByName("Identification");
    set(identification, "Manufacturer", DataType.LocalizedText, coerceLocalizedText("Fraeswerk"));
    set(identification, "SerialNumber", DataType.String, "F-9");
    const prognoses = mill.getChildByName("Notification").getChildByName("Prognoses");
    if (prognoses) {
        const due = space.findObjectType("MaintenancePrognosisType", tool).instantiate({ browseName: "Grease", componentOf: prognoses });
        set(due, "Activity", DataType.LocalizedText, coerceLocalizedText("Grease the guides"));
        set(due, "PredictedTime", DataType.DateTime, new Date("2026-12-24T12:00:00Z"));
    }
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
