"""Compares scim-edge's filters and PATCH with those of scim2-models: differential.py ORACLE CASES SEED.

Random resources meet random filters and random PATCH sequences, in both. A sequence is compared as a whole
and operation by operation, each from a state that both are given, so that what one operation did to one
state is what has to be explained. Where the two disagree, a rule below says which sentence of the RFC
decides, and what each of the two must have answered for the rule to be the reason; what no rule explains is
printed. Prints one line of JSON.
"""

import json
import random
import re
import subprocess
import sys

from scim2_models import Context, EnterpriseUser, Group, PatchOp, ScimFilter, User

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

TEXTS = ["Ann", "ann", "Bo", "DÄVE", "däve", "x y", 'q"t', "back\\slash", "", "0", "true"]
# One domain in one case: scim2-models lowers the case of domains, scim-edge keeps values as sent.
ADDRESSES = ["a@x.org", "A@x.org", "b@x.org", "c@y.org"]
NUMBERS = ["tel:+1-201-555-0123", "+1 201", "555"]
TYPES = ["work", "home", "other"]
TIMES = ["2011-05-13T04:42:34Z", "2011-05-13T06:42:34+02:00", "2020-01-01T00:00:00.5Z", "2020-01-01T00:00:00Z"]
LISTS = {"emails": ADDRESSES, "phoneNumbers": NUMBERS, "roles": ["Admin", "admin", "reader"]}


def some(rng, chances, make):
    """A part of what could be made."""
    return {name: make[name]() for name in make if rng.random() < chances}


def text(rng):
    return rng.choice([one for one in TEXTS if one])


def value_of(rng, name):
    """One value of a list."""
    one = {"value": rng.choice(LISTS[name]), "type": rng.choice(TYPES)}
    return one if rng.random() < 0.8 else {"value": one["value"]}


def values_of(rng, name, most=3):
    """Distinct values, the first of them maybe primary."""
    found = {}
    for _ in range(rng.randint(1, most)):
        one = value_of(rng, name)
        found.setdefault(one["value"].lower(), one)
    listed = list(found.values())
    if rng.random() < 0.4:
        listed[0]["primary"] = True
    return listed


def address(rng):
    return some(rng, 0.7, {"locality": lambda: text(rng), "region": lambda: text(rng)}) | {"type": rng.choice(TYPES)}


def addresses(rng):
    found = {one["type"]: one for one in (address(rng) for _ in range(rng.randint(1, 2)))}
    return list(found.values())


def extension(rng):
    made = some(rng, 0.6, {
        "department": lambda: text(rng),
        "employeeNumber": lambda: text(rng),
        "costCenter": lambda: text(rng),
        "manager": lambda: {"value": text(rng)},
    })
    return made or {"department": text(rng)}


def name_of(rng):
    parts = ["givenName", "familyName", "middleName"]
    return some(rng, 0.6, {part: lambda: text(rng) for part in parts}) or {"formatted": text(rng)}


def user(rng):
    made = {"schemas": [USER], "id": "1", "userName": text(rng)}
    made |= some(rng, 0.5, {
        "displayName": lambda: text(rng),
        "title": lambda: text(rng),
        "externalId": lambda: text(rng),
        "active": lambda: rng.random() < 0.5,
        "name": lambda: name_of(rng),
        "emails": lambda: values_of(rng, "emails"),
        "phoneNumbers": lambda: values_of(rng, "phoneNumbers"),
        "roles": lambda: values_of(rng, "roles"),
        "addresses": lambda: addresses(rng),
        "meta": lambda: {"resourceType": "User", "lastModified": rng.choice(TIMES)},
        ENTERPRISE: lambda: extension(rng),
    })
    if ENTERPRISE in made:
        made["schemas"].append(ENTERPRISE)
    return made


def group(rng):
    made = {"schemas": [GROUP], "id": "g", "displayName": rng.choice(["Team", "TEAM", "Tour Guides"])}
    if rng.random() < 0.7:
        made["members"] = [{"value": f"u{n}", "type": "User"} for n in rng.sample(range(5), rng.randint(1, 4))]
    return made


def model_of(kind):
    return User[EnterpriseUser] if kind == "User" else Group


# Filters -------------------------------------------------------------------------------------

STRINGS = ["userName", "displayName", "title", "externalId", "name.givenName", "name.familyName", "USERNAME",
           f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value", f"{USER}:userName", "emails.value", "emails.type",
           "phoneNumbers.value", "roles.type", "addresses.locality", "id"]
OPERATORS = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]
REFUSED = ["active gt true", "nope eq \"x\"", "active eq \"x\"", "userName eq 5", "emails[nope pr]", "userName[value pr]",
           "name.nope pr", "meta.lastModified gt \"x\"", "userName is \"x\"", "userName eq", "(userName pr", "not userName pr",
           "urn:nope:userName pr", "emails[type eq \"work\"].value pr", "userName eq \"a\" and", "emails[roles[type pr]]"]


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
    if rng.random() < 0.01:
        return rng.choice(REFUSED)
    return rng.choice([
        f"{rng.choice(STRINGS)} {rng.choice(OPERATORS)} {quoted()}",
        f"{rng.choice(STRINGS + ['active', 'emails', 'name', 'meta.lastModified', 'addresses'])} pr",
        f"active {rng.choice(['eq', 'ne'])} {rng.choice(['true', 'false'])}",
        f'meta.lastModified {rng.choice(["eq", "ne", "gt", "ge", "lt", "le"])} "{rng.choice(TIMES)}"',
        f"{rng.choice(list(LISTS))}[{condition(rng, kind, 2, True)}]",
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


def refusal(error):
    """An exception of the package as scim-edge answers one: its scimType, wherever it is kept."""
    inner = [one.get("ctx", {}).get("scim_type") for one in error.errors()] if hasattr(error, "errors") else []
    scim_type = getattr(error, "scim_type", None) or next((one for one in inner if one), None)
    return {"error": scim_type or type(error).__name__, "detail": str(error)[:300]}


def oracle_filter(kind, resource, written):
    model = model_of(kind)
    try:
        return {"match": ScimFilter[model](written).match(model.model_validate(resource), strict=True)}
    except Exception as error:  # whatever the package raises is its refusal
        return refusal(error)


# PATCH ---------------------------------------------------------------------------------------


def selection(rng, name, there):
    """What stands in the brackets of a value path, mostly what selects one of the values that are there."""

    def equal(sub, values):
        known = [one[sub] for one in there if sub in one]
        return f'{sub} eq "{rng.choice(known if known and rng.random() < 0.7 else values)}"'

    if name == "addresses":
        return rng.choice([equal("type", TYPES), 'locality pr', f'not ({equal("type", TYPES)})'])
    return rng.choice([
        equal("type", TYPES),
        equal("type", TYPES),
        equal("value", LISTS[name]),
        f'{equal("type", TYPES)} and {equal("value", LISTS[name])}',
        f'{equal("type", TYPES)} or {equal("value", LISTS[name])}',
        f'not ({equal("type", TYPES)})',
        "primary eq true",
        "type pr",
    ])


def mistaken(rng):
    """An operation that is refused, or asks for nothing."""
    verb = rng.choice(["add", "replace"])
    return rng.choice([
        {"op": verb, "path": "nope", "value": "x"},
        {"op": verb, "path": "name.nope", "value": "x"},
        {"op": verb, "path": "urn:nope:title", "value": "x"},
        {"op": verb, "path": "id", "value": "x"},
        {"op": verb, "path": "groups", "value": [{"value": "g"}]},
        {"op": verb, "path": "meta.created", "value": TIMES[0]},
        {"op": "remove", "path": "userName"},
        {"op": "remove", "path": "id"},
        {"op": "remove", "path": "nope"},
        {"op": "remove"},
        {"op": verb, "path": "active", "value": "maybe"},
        {"op": verb, "path": "title", "value": {"a": 1}},
        {"op": verb, "path": "title", "value": ["T"]},
        {"op": verb, "path": "name", "value": "N"},
        {"op": verb, "path": "emails", "value": "a@x.org"},
        {"op": "replace", "path": "title", "value": None},
        {"op": "replace", "path": "emails", "value": []},
        {"op": "replace", "path": "userName", "value": None},
        {"op": verb, "path": "title"},
        {"op": verb, "path": "emails[type eq", "value": "x"},
        {"op": verb, "path": "emails[nope eq \"x\"]", "value": {"value": "a@x.org"}},
        {"op": verb, "path": "emails[type eq \"work\"].nope", "value": "x"},
        {"op": verb, "path": "a b", "value": "x"},
        {"op": verb, "path": "name[givenName eq \"x\"].familyName", "value": "x"},
        {"op": verb, "value": {"nope": "x"}},
        {"op": verb, "value": "x"},
        {"op": "move", "path": "title", "value": "x"},
    ])


def operation(rng, kind, resource):
    if kind == "User" and rng.random() < 0.04:
        return mistaken(rng)
    verb = rng.choice(["add", "replace", "remove"])
    if kind == "Group":
        targets = {
            "displayName": lambda: text(rng),
            "members": lambda: [{"value": f"u{n}", "type": "User"} for n in rng.sample(range(6), rng.randint(1, 2))],
            f'members[value eq "{rng.choice([one["value"] for one in resource.get("members", [])] + ["u9"])}"]': None,
        }
    else:
        name = rng.choice([one for one in LISTS if one in resource or rng.random() < 0.2] or list(LISTS))
        chosen = lambda name: selection(rng, name, resource.get(name, []))
        targets = {
            rng.choice(["title", "displayName", "userName", "nickName", "TITLE", "externalId"]): lambda: text(rng),
            "active": lambda: rng.random() < 0.5,
            "name": lambda: name_of(rng),
            rng.choice(["name.givenName", "NAME.familyname"]): lambda: text(rng),
            name: lambda: values_of(rng, name, 2),
            f"{name}[{chosen(name)}]": lambda: value_of(rng, name),
            f"{name}[{chosen(name)}].value": lambda: rng.choice(LISTS[name]),
            f"{name}[{chosen(name)}].type": lambda: rng.choice(TYPES),
            f"{name}[{chosen(name)}].display": lambda: text(rng),
            f"{name}[{chosen(name)}].primary": lambda: rng.random() < 0.7,
            f"{name}.{rng.choice(['type', 'display'])}": lambda: rng.choice(TYPES),
            "addresses": lambda: addresses(rng),
            f"addresses[{chosen('addresses')}]": lambda: address(rng),
            f"addresses[{chosen('addresses')}].locality": lambda: text(rng),
            ENTERPRISE: lambda: extension(rng),
            f"{ENTERPRISE}:{rng.choice(['department', 'costCenter'])}": lambda: text(rng),
            f"{ENTERPRISE}:manager": lambda: {"value": text(rng)},
            f"{ENTERPRISE}:manager.value": lambda: text(rng),
            f"{USER}:title": lambda: text(rng),
            f'{USER}:{name}[{chosen(name)}].value': lambda: rng.choice(LISTS[name]),
        }
    path = rng.choice(list(targets))
    make = targets[path]
    if verb == "remove" or make is None:
        return {"op": "remove", "path": path}
    plain = [one for one in targets if targets[one] and (one == ENTERPRISE or not re.search(r"[\[:.]", one))]
    if rng.random() < 0.15:
        return {"op": verb, "value": {one: targets[one]() for one in rng.sample(plain, min(len(plain), rng.randint(1, 3)))}}
    return {"op": verb, "path": path, "value": make()}


def request(operations):
    return {"schemas": [PATCH], "Operations": operations}


def patched(kind, resource, patch):
    model = model_of(kind)
    whole = model.model_validate(resource)
    PatchOp[model].model_validate(patch, scim_ctx=Context.RESOURCE_PATCH_REQUEST).patch(whole)
    return whole


def oracle_patch(kind, resource, patch):
    try:
        return {"resource": json.loads(patched(kind, resource, patch).model_dump_json(exclude_none=True, by_alias=True))}
    except Exception as error:  # as above
        return refusal(error)


def bare(value):
    """A value without the order of members, and without empty ones (RFC 7643 §2.5)."""
    if isinstance(value, dict):
        cleaned = {name: bare(part) for name, part in value.items()}
        return {name: part for name, part in cleaned.items() if part not in (None, [], {})}
    if isinstance(value, list):
        return [one for one in map(bare, value) if one not in (None, [], {})]
    return value


def comparable(answer):
    if "resource" in answer:
        resource = bare({name: part for name, part in answer["resource"].items() if name != "meta"})
        return resource | {"schemas": sorted(resource.get("schemas", []))}
    return answer.get("match", answer.get("error"))


# Disagreements that a sentence of the RFC decides ---------------------------------------------

RULES = []


def rule(sentence):
    def add(explains):
        RULES.append((explains.__name__, sentence, explains))
        return explains

    return add


def explain(case, ours, theirs):
    return next((name for name, _, explains in RULES if explains(case, ours, theirs)), None)


def folded(value):
    return value.lower() if isinstance(value, str) else value


def matches(kind, resource, written):
    return oracle_filter(kind, resource, written).get("match")


def only(case):
    """The operation of a step; the steps of a sequence are compared one by one before the whole."""
    operations = case.get("patch", {}).get("Operations", [])
    return operations[0] if len(operations) == 1 else {}


BRACKETS = re.compile(r"(?:urn:[\w:.-]*:)?(\w+)\[(.*)\](?:\.(\w+))?")


def selected(case):
    """Of a step with a value path: its list, its sub-attribute, the values there, and which are selected."""
    found = BRACKETS.fullmatch(only(case).get("path", ""))
    if not found:
        return None
    name, written, sub = found.groups()
    values = case["resource"].get(name, [])
    if not isinstance(values, list):
        return None
    return name, sub, values, [matches(case["kind"], case["resource"] | {name: [one]}, f"{name}[{written}]") for one in values]


def unlike(ours, theirs):
    """The attributes in which two resources differ."""
    ours, theirs = comparable(ours), comparable(theirs)
    return {name for name in ours | theirs if ours.get(name) != theirs.get(name)}


def secondary(values):
    """Values without what says which is primary."""
    return [{name: part for name, part in one.items() if name != "primary"} for one in bare(values)]


def once(values):
    """Values without those that stand before them already."""
    kept = []
    for one in values:
        if one not in kept:
            kept.append(one)
    return kept


def one_primary(values):
    return sum(one.get("primary") is True for one in values) <= 1


def lists(*answers):
    """Whether all of these are lists of values of which one at most is primary."""
    return all(one_primary(values) for values in answers)


@rule("RFC 7643 §4.1.2: an address SHOULD be one by RFC 5321; a filter may compare it with any text (RFC 7644 §3.4.2.2)")
def a_filter_compares_addresses_with_any_text(case, ours, theirs):
    if "match" not in ours or "emails.value'" not in theirs.get("detail", ""):
        return False
    # The same values are asked for where scim2-models takes any text.
    resource = {name: part for name, part in case["resource"].items() if name not in ("emails", "ims")}
    values = case["resource"].get("emails", [])
    twin = {"kind": case["kind"], "resource": resource | {"ims": values}, "filter": case["filter"].replace("emails", "ims")}
    other = ask_other(twin)
    return other == ours or a_list_is_unequal_by_any_value(twin, ours, other)


@rule("RFC 7644 §3.4.2.2: a list matches if any of its values does, with ne as with every operator")
def a_list_is_unequal_by_any_value(case, ours, theirs):
    unequal = r'\b(emails|ims|phoneNumbers|roles|addresses)\.(\w+) ne ("(?:[^"\\]|\\.)*")'
    if "match" not in ours or "match" not in theirs or not re.search(unequal, case["filter"]):
        return False
    # A value path asks one value, and there the two agree.
    return matches(case["kind"], case["resource"], re.sub(unequal, r"\1[\2 ne \3]", case["filter"])) == ours["match"]


@rule("RFC 7644 §3.4.2.2 figure 1: compValue is any JSON scalar; none is refused to a type but order to a boolean")
def a_number_compares_with_text(case, ours, theirs):
    if "match" not in ours or "value 5 is not valid" not in theirs.get("detail", ""):
        return False
    twin = case | {"filter": case["filter"].replace("userName eq 5", 'userName eq "5"')}
    other = ask_other(twin)
    return other == ours or explain(twin, ours, other) is not None


@rule("RFC 7644 §3.4.2.2 figure 1: a valuePath ends with its bracket; what follows one belongs to PATCH paths")
def nothing_follows_a_value_path(case, ours, theirs):
    return ours.get("error") == "invalidFilter" and "match" in theirs and "].value pr" in case["filter"]


@rule("RFC 7644 §3.12 table 9: a filter that compares what cannot be is invalidFilter, whatever a resource has to be asked")
def a_filter_is_refused_before_it_is_asked(case, ours, theirs):
    if ours.get("error") != "invalidFilter" or "match" not in theirs:
        return False
    # Alone, and asked of somebody who has everything, scim2-models refuses it as well.
    everything = {"schemas": [USER], "userName": "a", "active": True, "emails": [{"value": "a@x.org"}], "name": {"givenName": "a"},
                  "meta": {"resourceType": "User", "lastModified": TIMES[0]}}
    parts = [part for part in REFUSED if part in case["filter"]]
    return any(oracle_filter("User", everything, part).get("error") == "invalidFilter" for part in parts)


@rule("RFC 7643 §8.7.1: manager.value is not required")
def a_manager_without_value(case, ours, theirs):
    if only(case) != {"op": "remove", "path": f"{ENTERPRISE}:manager.value"} or "resource" not in ours:
        return False
    expected = {"resource": case["resource"] | {ENTERPRISE: case["resource"].get(ENTERPRISE, {}) | {"manager": None}}}
    if not bare(expected["resource"][ENTERPRISE]):
        expected["resource"]["schemas"] = [USER]
    return comparable(ours) == comparable(expected) and "required attribute 'value'" in theirs.get("detail", "")


@rule("RFC 7644 §3.12 table 9: noTarget is for a path that yields no value to operate on, whatever the operation")
def no_value_to_operate_on(case, ours, theirs):
    if ours.get("error") != "noTarget" or comparable(theirs) != comparable(case):
        return False
    if found := selected(case):
        return True not in found[3]
    name, dot, _ = only(case).get("path", "").partition(".")
    return bool(dot) and only(case)["op"] != "remove" and name in LISTS and not case["resource"].get(name)


@rule("RFC 7644 §3.5.2.3: all values that a value path matches are replaced, parts that are not named included")
def a_value_path_replaces_whole_values(case, ours, theirs):
    step = only(case)
    found = selected(case)
    if not found or found[1] or step["op"] != "replace" or "resource" not in ours or "resource" not in theirs:
        return False
    name, _, values, which = found
    mine, other = (answer["resource"].get(name, []) for answer in (ours, theirs))
    replaced = [step["value"] if hit else one for one, hit in zip(values, which)]
    merged = [one | step["value"] if hit else one for one, hit in zip(values, which)]
    return (unlike(ours, theirs) == {name} and lists(mine, other) and secondary(other) == secondary(merged)
            and once(secondary(mine)) == once(secondary(replaced)) and len(mine) == len(once(bare(mine))))


@rule("RFC 7643 §2.4: the same value and type SHOULD NOT stand twice; values that a change makes equal are one")
def equal_values_are_one(case, ours, theirs):
    step = only(case)
    name = re.split(r"[\[.]", step.get("path", "").removeprefix(f"{USER}:"))[0]
    if step.get("path") == name or "resource" not in ours or "resource" not in theirs or unlike(ours, theirs) != {name}:
        return False
    mine, other = (answer["resource"].get(name, []) for answer in (ours, theirs))
    return len(mine) < len(other) and lists(mine, other) and once(secondary(mine)) == once(secondary(other))


def sent_lists(step):
    """The lists that a step without a value path sends, by attribute."""
    path, value = step.get("path"), step.get("value")
    sent = {path: value} if path else value if isinstance(value, dict) else {}
    return {name: values for name, values in sent.items() if isinstance(values, list)}


@rule("RFC 7643 §2.4, §2.2: a value and type SHOULD NOT stand twice, nor in two cases; an added one says more about the one there")
def an_added_value_is_the_one_that_is_there(case, ours, theirs):
    step = only(case)
    if step.get("op") != "add" or "resource" not in ours or "resource" not in theirs:
        return False
    sent = sent_lists(step)
    differ = unlike(ours, theirs)
    return bool(differ) and differ <= set(sent) and all(
        is_added(case["resource"].get(name, []), sent[name], ours["resource"][name], theirs["resource"][name]) for name in differ
    )


def is_added(old, sent, mine, other):
    """Whether scim-edge has made one value of each value and type, and scim2-models has put all at the end."""
    named = lambda one: (folded(one.get("value")), folded(one.get("type")))
    expected = [dict(one) for one in old]
    for one in sent:
        same = [known for known in expected if named(known) == named(one) or "type" not in one and named(known)[0] == named(one)[0]]
        if same and "value" in one:
            same[0].update(one)
        elif one not in expected:
            expected.append(dict(one))
    beyond = [one for one in secondary(other) if one not in secondary(old) and one not in secondary(sent)]
    newest = next((one for one in sent if one.get("primary")), None)
    preferred = next((one for one in mine if one.get("primary")), {})
    return (secondary(mine) == secondary(expected) and not beyond and lists(mine, other)
            and (newest is None or folded(preferred.get("value")) == folded(newest.get("value"))))


@rule("RFC 7644 §3.5.2: where a value becomes primary the server makes the others not primary")
def one_of_several_becomes_primary(case, ours, theirs):
    found = selected(case)
    if not found or found[1] != "primary" or only(case).get("value") is not True or "resource" not in ours:
        return False
    name, _, values, which = found
    mine = ours["resource"].get(name, [])
    fresh = [one for one, hit in zip(values, which) if hit and not one.get("primary")]
    preferred = [folded(one.get("value")) for one in mine if one.get("primary")]
    return (theirs.get("detail") == "Multiple values marked as primary" and len(fresh) > 1 and len(preferred) == 1
            and once(secondary(mine)) == once(secondary(values)) and preferred[0] in [folded(one.get("value")) for one in fresh])


@rule("RFC 7644 §3.12 table 9: a body against the request's schema is invalidSyntax; §3.5.2 names the three operations")
def an_unknown_operation(case, ours, theirs):
    return ours.get("error") == "invalidSyntax" and theirs.get("error") == "invalidValue" and only(case).get("op") == "move"


@rule("RFC 7644 §3.5.2 figure 7: a value path selects among the values of a list; another one is invalidPath (table 9)")
def one_value_has_none_to_select_from(case, ours, theirs):
    return (ours.get("error"), theirs.get("error")) == ("invalidPath", "invalidFilter") and only(case).get("path", "").startswith("name[")


@rule("RFC 7644 §3.12 table 9: invalidFilter is for filters in PATCH paths, too")
def a_filter_within_a_path(case, ours, theirs):
    return (ours.get("error"), theirs.get("error")) == ("invalidFilter", "invalidPath") and "[" in only(case).get("path", "")


@rule("RFC 7644 §3.5.2: operations are applied in order until one fails; which of several mistakes is answered is not said")
def another_mistake_of_several(case, ours, theirs):
    if "mistakes" not in case or "error" not in ours or "error" not in theirs:
        return False
    # Each answers the mistake of an operation that it refuses alone, as well.
    alone = [ask_other(case | {"patch": request([one])}).get("error") for one in case["patch"]["Operations"]]
    return ours["error"] in case["mistakes"] and theirs["error"] in alone


@rule("RFC 7643 §2.5: what has no value is unassigned; a value of a list that lost its last part is not there to be selected")
def a_value_without_parts_is_none(case, ours, theirs):
    if len(case.get("patch", {}).get("Operations", [])) < 2 or "resource" not in theirs:
        return False
    if "resource" in ours:
        differ = unlike(ours, theirs)
        fewer = all(len(ours["resource"].get(name, [])) < len(theirs["resource"].get(name, [])) for name in differ & set(LISTS))
        if not differ <= set(LISTS) or not fewer:
            return False
    elif ours["error"] != "noTarget":
        return False
    # scim2-models has kept such a value after one of the operations, though it does not show it.
    operations = case["patch"]["Operations"]
    for number in range(1, len(operations)):
        whole = patched(case["kind"], case["resource"], request(operations[:number]))
        lists = [part for _, part in whole if isinstance(part, list)]
        if any(hasattr(one, "model_fields_set") and not any(part for _, part in one) for values in lists for one in values):
            return True
    return False


# The comparison ------------------------------------------------------------------------------


def make_cases(count, seed):
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        kind = "Group" if rng.random() < 0.2 else "User"
        case = {"kind": kind, "resource": group(rng) if kind == "Group" else user(rng)}
        if number % 2:
            case["filter"] = condition(rng, kind, 3)
        else:
            case["patch"] = request([operation(rng, kind, case["resource"]) for _ in range(rng.randint(1, 5))])
        cases.append(case)
    return cases


def ask(oracle, cases):
    """What scim-edge answers."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    answered = subprocess.run([oracle], input=lines, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for _, line in zip(cases, answered.splitlines(), strict=True)]


def ask_other(case):
    """What scim2-models answers."""
    asks = oracle_filter if "filter" in case else oracle_patch
    return asks(case["kind"], case["resource"], case.get("filter", case.get("patch")))


class Tally:
    def __init__(self):
        self.agree, self.explained, self.unexplained = 0, {}, []

    def note(self, case, ours, theirs):
        """Compares two answers; the rule that explains the difference, if there is one."""
        if comparable(ours) == comparable(theirs):
            return None
        name = explain(case, ours, theirs)
        if name is None:
            self.unexplained.append({"case": case, "ours": ours, "theirs": theirs})
            return "unexplained"
        self.explained[name] = self.explained.get(name, 0) + 1
        return name


def main():
    oracle, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    cases = make_cases(count, seed)
    tally, differs, states, compared = Tally(), [False] * count, {}, 0
    for index, (case, ours) in enumerate(zip(cases, answers := ask(oracle, cases))):
        if "filter" in case:
            differs[index] = tally.note(case, ours, ask_other(case)) is not None
        else:
            states[index] = case["resource"]
    # Operation by operation: from where scim-edge is, both take the next step.
    mistakes = {index: [] for index in states}
    for number in range(max((len(cases[index]["patch"]["Operations"]) for index in states), default=0)):
        steps = {}
        for index, state in states.items():
            operations = cases[index]["patch"]["Operations"]
            if number < len(operations):
                steps[index] = {"kind": cases[index]["kind"], "resource": state, "patch": request([operations[number]])}
        compared += len(steps)
        for (index, step), ours in zip(steps.items(), ask(oracle, list(steps.values()))):
            differs[index] |= tally.note(step, ours, ask_other(step)) is not None
            if "resource" in ours:
                states[index] = ours["resource"]
            else:
                mistakes[index].append(ours["error"])
    # Whole sequences: one is the sum of its steps, and what agrees in every step agrees as a whole.
    for index, state in states.items():
        case, ours = cases[index], answers[index]
        if mistakes[index]:
            alone = ask(oracle, [case | {"patch": request([one])} for one in case["patch"]["Operations"]])
            case |= {"mistakes": mistakes[index] + [answer.get("error") for answer in alone]}
            is_sum = ours.get("error") in case["mistakes"]
        else:
            is_sum = comparable(ours) == comparable({"resource": state})
        if not is_sum:
            tally.unexplained.append({"case": case, "ours": ours, "steps": state})
            differs[index] = True
        elif not differs[index]:
            differs[index] = tally.note(case, ours, ask_other(case)) is not None
    print(json.dumps({
        "seed": seed,
        "cases": count,
        "operations": compared,
        "agree": differs.count(False),
        "explained": dict(sorted(tally.explained.items())),
        "unexplained": tally.unexplained[:5],
        "beyond": max(0, len(tally.unexplained) - 5),
        "sentences": {name: sentence for name, sentence, _ in RULES},
    }))


main()
