// Reads one question a line, as JSON, and answers each with one line: what packages
// that were not written for the bridge say.
//
//   {"filter": "userName eq \"x\"", "resource": {…}}
//   → {"scimmy": {"is": true}, "scim2-parse-filter": {"is": false}}
//   {"type": "User", "operations": […], "resource": {…}}
//   → {"scimmy": {"is": {…}}, "scim-patch": {"refused": "…"}}
import {createInterface} from "node:readline";
import {Messages, Schemas, Types} from "scimmy";
import {scimPatch} from "scim-patch";
import {filter, parse} from "scim2-parse-filter";

Schemas.User.definition.extend(Schemas.EnterpriseUser.definition);

const answered = async (ask) => {
    try {
        return {is: await ask()};
    } catch (error) {
        return {refused: error.scimType ?? error.scimCode ?? "", detail: String(error.message)};
    }
};

const copied = (value) => JSON.parse(JSON.stringify(value));

async function scimmyPatched({type, operations, resource}) {
    const before = new Schemas[type](copied(resource));
    const patch = new Messages.PatchOp({schemas: [Messages.PatchOp.id], Operations: copied(operations)});
    return copied((await patch.apply(before)) ?? before);
}

async function answer(question) {
    if (question.filter !== undefined) {
        return {
            "scimmy": await answered(() => new Types.Filter(question.filter).match([question.resource]).length === 1),
            "scim2-parse-filter": await answered(() => filter(parse(question.filter))(question.resource)),
        };
    }
    return {
        "scimmy": await answered(() => scimmyPatched(question)),
        "scim-patch": await answered(() => scimPatch(copied(question.resource), copied(question.operations), {mutateDocument: false, treatMissingAsAdd: false})),
    };
}

for await (const line of createInterface({input: process.stdin, crlfDelay: Infinity})) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
}
