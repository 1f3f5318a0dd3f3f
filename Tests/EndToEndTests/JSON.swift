import Foundation

/// JSON as other programs read it: Foundation's reader, which nobody here wrote.
struct JSON {
    let value: Any

    init(text: String) throws {
        value = try JSONSerialization.jsonObject(
            with: Data(text.utf8), options: .fragmentsAllowed)
    }

    private init(_ value: Any) { self.value = value }

    subscript(key: String) -> JSON {
        JSON((value as? [String: Any])?[key] ?? NSNull())
    }
    subscript(index: Int) -> JSON {
        let elements = value as? [Any] ?? []
        return JSON(elements.indices.contains(index) ? elements[index] : NSNull())
    }
    var text: String? { value as? String }
    var number: Int? { (value as? NSNumber)?.intValue }
    var flag: Bool? { value as? Bool }
    var isNull: Bool { value is NSNull }
    var elements: [JSON] { (value as? [Any] ?? []).map(JSON.init) }
    var keys: Set<String> { Set((value as? [String: Any] ?? [:]).keys) }
}
