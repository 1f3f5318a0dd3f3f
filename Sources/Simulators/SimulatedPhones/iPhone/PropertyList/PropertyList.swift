/// A value of Apple's property lists, which carry every message between a host and an iPhone.
package indirect enum PropertyList: Sendable, Equatable {
    /// Keys have no order; both writers sort them.
    case dictionary([String: PropertyList])
    case array([PropertyList])
    case string(String)
    case data([UInt8])
    case integer(Int64)
    /// Only for values beyond Int64; see ``number(_:)``.
    case unsigned(UInt64)
    case real(Double)
    case boolean(Bool)
    /// Seconds since 2001-01-01T00:00:00Z.
    case date(Double)
    /// A reference of a keyed archive.
    case uid(UInt64)

    /// A number in the one case that fits it.
    package static func number(_ value: some BinaryInteger) -> PropertyList {
        if let small = Int64(exactly: value) { return .integer(small) }
        return .unsigned(UInt64(truncatingIfNeeded: value))
    }

    /// A moment given in seconds since 1970.
    package static func moment(_ unixSeconds: Int64) -> PropertyList {
        .date(Double(unixSeconds - epochOffset))
    }

    /// 2001-01-01T00:00:00Z in seconds since 1970.
    static let epochOffset: Int64 = 978_307_200

    /// Reads either form; what neither knows throws.
    package static func decode(_ bytes: [UInt8]) throws(PropertyListProblem) -> PropertyList {
        if bytes.starts(with: BinaryPropertyListReader.magic) {
            var reader = BinaryPropertyListReader(bytes)
            return try reader.read()
        }
        var reader = XMLPropertyListReader(bytes)
        return try reader.read()
    }

    /// Apple's binary form, "bplist00".
    package func encodeBinary() -> [UInt8] {
        var writer = BinaryPropertyListWriter()
        return writer.write(self)
    }

    /// The XML form with Apple's document type.
    package func encodeXML() -> [UInt8] {
        XMLPropertyListWriter.write(self)
    }
}

/// Bytes that are no property list.
package struct PropertyListProblem: Error, CustomStringConvertible {
    /// What is wrong, for the person who reads a test's output.
    package let description: String
}

extension PropertyList {
    /// The value of a dictionary's key; nil when there is none or this is no dictionary.
    package subscript(_ key: String) -> PropertyList? {
        guard case .dictionary(let entries) = self else { return nil }
        return entries[key]
    }

    /// The item of an array; nil when there is none or this is no array.
    package subscript(_ index: Int) -> PropertyList? {
        guard case .array(let items) = self, items.indices.contains(index) else { return nil }
        return items[index]
    }

    /// The entries of a dictionary.
    package var entries: [String: PropertyList]? {
        if case .dictionary(let entries) = self { entries } else { nil }
    }

    /// The items of an array.
    package var items: [PropertyList]? {
        if case .array(let items) = self { items } else { nil }
    }

    /// A string's text.
    package var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// Data's bytes.
    package var bytes: [UInt8]? {
        if case .data(let bytes) = self { bytes } else { nil }
    }

    /// A whole number that fits.
    package var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// A whole number that is not negative.
    package var unsigned: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        default: nil
        }
    }

    /// A truth value; 0 and 1 count, as Apple's own readers let them.
    package var truth: Bool? {
        switch self {
        case .boolean(let value): value
        case .integer(let value): value != 0
        default: nil
        }
    }
}

extension PropertyList: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A string.
    package init(stringLiteral value: String) { self = .string(value) }
    /// A whole number.
    package init(integerLiteral value: Int64) { self = .integer(value) }
    /// A truth value.
    package init(booleanLiteral value: Bool) { self = .boolean(value) }
    /// An array.
    package init(arrayLiteral elements: PropertyList...) { self = .array(elements) }
    /// A dictionary; of two equal keys the last one counts.
    package init(dictionaryLiteral elements: (String, PropertyList)...) {
        self = .dictionary(Dictionary(elements) { _, last in last })
    }
}
