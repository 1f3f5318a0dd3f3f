import BackupCore

/// One JSON object of texts and counts: what `drive.json` and journal records are made of.
///
/// Only this shape is read and written; anything else on a drive is damage and not data.
struct FlatJSON: Sendable, Hashable {
    enum Value: Sendable, Hashable {
        case text(String)
        case count(UInt64)
    }

    /// Keys and values in their order.
    private(set) var fields: [(key: String, value: Value)] = []

    init() {}

    /// Adds a field; keys are ours and never repeat.
    mutating func set(_ key: String, _ value: Value) { fields.append((key, value)) }

    subscript(key: String) -> Value? { fields.first { $0.key == key }?.value }

    func text(_ key: String) -> String? {
        if case .text(let text) = self[key] { text } else { nil }
    }

    func count(_ key: String) -> UInt64? {
        if case .count(let count) = self[key] { count } else { nil }
    }

    static func == (left: FlatJSON, right: FlatJSON) -> Bool {
        left.fields.elementsEqual(right.fields) { $0.key == $1.key && $0.value == $1.value }
    }

    func hash(into hasher: inout Hasher) {
        for field in fields {
            hasher.combine(field.key)
            hasher.combine(field.value)
        }
    }

    /// One line, without the newline.
    func encoded() -> String {
        let members = fields.map { field in
            switch field.value {
            case .text(let text): JSONValue.Member(field.key, .string(text))
            case .count(let count): JSONValue.Member(field.key, .unsigned(count))
            }
        }
        return JSONValue.object(members).line
    }
}

extension FlatJSON {
    /// The object in `bytes`, or nil when they are anything else.
    init?(_ bytes: [UInt8]) {
        // Damage is damage: where it begins does not matter.
        guard let members = try? JSONValue.read(bytes).objectMembers else { return nil }
        for member in members {
            guard self[member.key] == nil else { return nil }
            if let text = member.value.text {
                set(member.key, .text(text))
            } else if let count = member.value.uint64 {
                set(member.key, .count(count))
            } else {
                return nil
            }
        }
    }
}
