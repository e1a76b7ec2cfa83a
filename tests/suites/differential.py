"""Compares scim-edge's filters and PATCH with those of scim2-models: differential.py ORACLE CASES SEED.

Random resources meet random filters and random PATCH sequences, in both. Where the two disagree, a rule
below says which sentence of the RFC decides; what no rule explains is printed. Prints one line of JSON.
"""

import json
import random
import subprocess
import sys

from scim2_models import EnterpriseUser, Group, PatchOp, ScimFilter, User

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

TEXTS = ["Ann", "ann", "Bo", "DÄVE", "däve", "x y", 'q"t', "back\\slash", "", "0", "true"]
# One domain in one case: scim2-models lowers the case of domains, scim-edge keeps values as sent.
ADDRESSES = ["a@x.org", "A@x.org", "b@x.org", "c@y.org"]
TYPES = ["work", "home", "other"]
TIMES = ["2011-05-13T04:42:34Z", "2011-05-13T06:42:34+02:00", "2020-01-01T00:00:00.5Z", "2020-01-01T00:00:00Z"]


def some(rng, chances, make):
    """A part of what could be made."""
    return {name: make[name]() for name in make if rng.random() < chances}


def email(rng):
    one = {"value": rng.choice(ADDRESSES), "type": rng.choice(TYPES)}
    return one if rng.random() < 0.8 else {"value": one["value"]}


def emails(rng, most=3):
    """Distinct addresses, the first of them maybe primary."""
    found = {}
    for _ in range(rng.randint(1, most)):
        one = email(rng)
        found.setdefault(one["value"].lower(), one)
    listed = list(found.values())
    if rng.random() < 0.4:
        listed[0]["primary"] = True
    return listed


def user(rng):
    text = lambda: rng.choice([one for one in TEXTS if one])
    made = {"schemas": [USER], "id": "1", "userName": text()}
    made |= some(rng, 0.5, {
        "displayName": text,
        "title": text,
        "externalId": text,
        "active": lambda: rng.random() < 0.5,
        "name": lambda: {"givenName": text(), "familyName": text()},
        "emails": lambda: emails(rng),
        "meta": lambda: {"resourceType": "User", "lastModified": rng.choice(TIMES)},
        ENTERPRISE: lambda: some(rng, 0.6, {"department": text, "employeeNumber": text, "manager": lambda: {"value": text()}})
        or {"department": text()},
    })
    if ENTERPRISE in made:
        made["schemas"].append(ENTERPRISE)
    return made


def group(rng):
    made = {"schemas": [GROUP], "id": "g", "displayName": rng.choice(["Team", "TEAM", "Tour Guides"])}
    if rng.random() < 0.7:
        made["members"] = [{"value": f"u{n}", "type": "User"} for n in rng.sample(range(5), rng.randint(1, 4))]
    return made


# Filters -------------------------------------------------------------------------------------

STRINGS = ["userName", "displayName", "title", "externalId", "name.givenName", "name.familyName", "USERNAME",
           f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value", f"{USER}:userName", "emails.value", "emails.type", "id"]
OPERATORS = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]


def term(rng, kind, inside=None):
    quoted = lambda: json.dumps(rng.choice(TEXTS + ADDRESSES + TYPES), ensure_ascii=False)
    if inside:
        return rng.choice([
            f"{rng.choice(['value', 'type'])} {rng.choice(OPERATORS)} {quoted()}",
            "primary eq true",
            f"{rng.choice(['value', 'type', 'primary'])} pr",
        ])
    if kind == "Group":
        return rng.choice([
            f"displayName {rng.choice(OPERATORS)} {json.dumps(rng.choice(['team', 'Tour', 'x']))}",
            f'members.value eq "u{rng.randint(0, 5)}"',
            f'members[value eq "u{rng.randint(0, 5)}" and type eq "User"]',
            "members pr",
        ])
    return rng.choice([
        f"{rng.choice(STRINGS)} {rng.choice(OPERATORS)} {quoted()}",
        f"{rng.choice(STRINGS + ['active', 'emails', 'name', 'meta.lastModified'])} pr",
        f"active {rng.choice(['eq', 'ne'])} {rng.choice(['true', 'false'])}",
        f'meta.lastModified {rng.choice(["eq", "ne", "gt", "ge", "lt", "le"])} "{rng.choice(TIMES)}"',
        f"emails[{condition(rng, kind, 2, True)}]",
        f"{rng.choice(['title', 'displayName'])} {rng.choice(['eq', 'ne'])} null",
        f'schemas eq "{rng.choice([USER, ENTERPRISE])}"',
    ])


def condition(rng, kind, depth, inside=None):
    if depth == 0 or rng.random() < 0.4:
        return term(rng, kind, inside)
    parts = [condition(rng, kind, depth - 1, inside) for _ in range(2)]
    return rng.choice([
        f"{parts[0]} and {parts[1]}",
        f"{parts[0]} or {parts[1]}",
        f"({parts[0]} or {parts[1]})",
        f"not ({parts[0]})",
    ])


def oracle_filter(kind, resource, text):
    model = User[EnterpriseUser] if kind == "User" else Group
    try:
        return {"match": ScimFilter[model](text).match(model.model_validate(resource), strict=True)}
    except Exception as error:  # whatever the package raises is its refusal
        return {"error": type(error).__name__, "detail": str(error)[:200]}


# PATCH ---------------------------------------------------------------------------------------


def operation(rng, kind):
    verb = rng.choice(["add", "replace", "remove"])
    text = lambda: rng.choice([one for one in TEXTS if one])
    if kind == "Group":
        targets = {
            "displayName": text,
            "members": lambda: [{"value": f"u{rng.randint(0, 5)}", "type": "User"}],
            f'members[value eq "u{rng.randint(0, 4)}"]': None,
        }
    else:
        targets = {
            "title": text, "displayName": text, "userName": text, "nickName": text,
            "active": lambda: rng.random() < 0.5,
            "name": lambda: some(rng, 0.6, {"givenName": text, "familyName": text}) or {"formatted": text()},
            "name.givenName": text,
            "emails": lambda: emails(rng, 2),
            f'emails[type eq "{rng.choice(TYPES)}"]': lambda: {"value": rng.choice(ADDRESSES)},
            f'emails[type eq "{rng.choice(TYPES)}"].value': lambda: rng.choice(ADDRESSES),
            f'emails[value eq "{rng.choice(ADDRESSES)}"].type': lambda: rng.choice(TYPES),
            f"{ENTERPRISE}:department": text,
            f"{ENTERPRISE}:manager": lambda: {"value": text()},
            f"{ENTERPRISE}:manager.value": text,
            f"{USER}:title": text,
        }
    path = rng.choice(list(targets))
    make = targets[path]
    if verb == "remove" or make is None:
        return {"op": "remove", "path": path}
    if rng.random() < 0.2 and "[" not in path and ":" not in path and "." not in path:
        return {"op": verb, "value": {path: make()}}
    return {"op": verb, "path": path, "value": make()}


def oracle_patch(kind, resource, patch):
    model = User[EnterpriseUser] if kind == "User" else Group
    try:
        whole = model.model_validate(resource)
        PatchOp[model].model_validate(patch).patch(whole)
        return {"resource": json.loads(whole.model_dump_json(exclude_none=True, by_alias=True))}
    except Exception as error:
        return {"error": getattr(error, "scim_type", None) or type(error).__name__, "detail": str(error)[:200]}


def comparable(answer):
    """An answer without the order of members and schemas, without empty values and without what neither compares."""

    def plain(value):
        if isinstance(value, dict):
            cleaned = {name: plain(part) for name, part in value.items()}
            return {name: part for name, part in cleaned.items() if part not in (None, [], {})}
        if isinstance(value, list):
            return [plain(part) for part in value]
        return value

    if "resource" in answer:
        resource = plain({name: part for name, part in answer["resource"].items() if name != "meta"})
        resource["schemas"] = sorted(resource.get("schemas", []))
        return resource
    return answer.get("match", "error")


# Disagreements that a sentence of the RFC decides ---------------------------------------------

RULES = []


def rule(sentence):
    def add(explains):
        RULES.append((explains.__name__, sentence, explains))
        return explains

    return add


@rule("RFC 7643 §4.1.2: an address SHOULD be one by RFC 5321; a filter may compare it with any text")
def a_filter_compares_addresses_with_any_text(case, ours, theirs):
    return "match" in ours and "is not valid for attribute" in theirs.get("detail", "")


@rule("RFC 7644 §3.4.2.2: a list matches if any of its values does, with ne as with every operator")
def not_equal_of_any_value(case, ours, theirs):
    return "match" in ours and "match" in theirs and any(f"emails.{part} ne" in case["filter"] for part in ("value", "type"))


@rule("RFC 7643 §8.7.1: manager.value is not required")
def a_manager_without_value(case, ours, theirs):
    return "resource" in ours and "required attribute 'value'" in theirs.get("detail", "")


@rule("RFC 7644 §3.12 table 9: noTarget is for a path whose filter yields no match, whatever the operation")
def no_target_of_a_removal(case, ours, theirs):
    return ours.get("error") == "noTarget" and any("[" in one.get("path", "") for one in case["patch"]["Operations"])


def operations(case, *verbs):
    return [one for one in case.get("patch", {}).get("Operations", []) if one["op"] in verbs]


@rule("RFC 7644 §3.5.2.3: all values that a value path matches are replaced, parts that are not named included")
def a_value_path_replaces_whole_values(case, ours, theirs):
    return "resource" in ours and any(one.get("path", "").endswith("]") for one in operations(case, "replace"))


@rule("RFC 7643 §2.4: the same value and type SHOULD NOT stand twice; an added one says more about the one there")
def an_added_value_is_the_one_that_is_there(case, ours, theirs):
    def pairs(answer):
        found = answer.get("resource", {}).get("emails", [])
        return [(one.get("value", "").lower(), one.get("type")) for one in found]

    ours, theirs = pairs(ours), pairs(theirs)
    known = {value for value, _ in ours}
    # One that has no type is the one of that value, whatever its type.
    beyond = all(kind is None and value in known for value, kind in set(theirs) - set(ours))
    return bool(operations(case, "add")) and len(set(ours)) == len(ours) and set(ours) <= set(theirs) and beyond


def explain(case, ours, theirs):
    return next((name for name, _, explains in RULES if explains(case, ours, theirs)), None)


def main():
    oracle, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        kind = "Group" if rng.random() < 0.2 else "User"
        case = {"kind": kind, "resource": group(rng) if kind == "Group" else user(rng)}
        if number % 2:
            case["filter"] = condition(rng, kind, 3)
        else:
            case["patch"] = {"schemas": [PATCH], "Operations": [operation(rng, kind) for _ in range(rng.randint(1, 3))]}
        cases.append(case)
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    answered = subprocess.run([oracle], input=lines, capture_output=True, text=True, check=True).stdout
    agree, explained, unexplained = 0, {}, []
    for case, line in zip(cases, answered.splitlines(), strict=True):
        ours = json.loads(line)
        asks = oracle_filter if "filter" in case else oracle_patch
        theirs = asks(case["kind"], case["resource"], case.get("filter", case.get("patch")))
        if comparable(ours) == comparable(theirs):
            agree += 1
        elif name := explain(case, ours, theirs):
            explained[name] = explained.get(name, 0) + 1
        else:
            unexplained.append({"case": case, "ours": ours, "theirs": theirs})
    sentences = {name: sentence for name, sentence, _ in RULES}
    print(json.dumps({"seed": seed, "cases": count, "agree": agree, "explained": explained, "sentences": sentences,
                      "unexplained": len(unexplained), "examples": unexplained[:5]}))


main()
