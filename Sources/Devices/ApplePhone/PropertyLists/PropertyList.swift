package import BackupCore

/// A property list: what lockdown, mobilebackup2 and the files of a backup are made of.
///
/// The library's own parser (libplist) trusts what it reads, so every list that a phone's service
/// sends is read by ``decode(_:limits:)`` here.
package enum PropertyList: Sendable, Equatable {
    /// Keys are unique by Swift's equality; a list with two equal keys is refused.
    case dictionary([String: PropertyList])
    case array([PropertyList])
    case string(String)
    case data([UInt8])
    case integer(Int64)
    /// Only for what is beyond `Int64.max`: a smaller number is read as `integer`.
    case unsigned(UInt64)
    case real(Double)
    case boolean(Bool)
    /// Seconds since 2001-01-01 UTC.
    case date(Double)
    /// A keyed archive's reference; binary only.
    case uid(UInt64)

    /// What a list may cost to read.
    package struct Limits: Sendable {
        /// Bytes of the encoded list, and of all its texts and data taken together once read:
        /// many references to one text cost as many texts.
        package var bytes: Int
        /// How deep containers may lie in one another; also what ends a cycle.
        package var depth: Int
        /// Values of all kinds, keys included; one that is referred to twice counts twice.
        package var elements: Int
        /// Bytes of one text.
        package var text: Int

        /// Limits; unless told otherwise those of one message of a service.
        package init(
            bytes: Int = 16 << 20, depth: Int = 32, elements: Int = 200_000, text: Int = 1 << 20
        ) {
            self.bytes = bytes
            self.depth = depth
            self.elements = elements
            self.text = text
        }
    }

    /// Reads a binary or an XML list, told apart by the first bytes.
    ///
    /// Throws `protocolViolation` for what is no list and `limitExceeded` for one that is too
    /// large; memory stays within a small multiple of the limits.
    package static func decode(
        _ bytes: [UInt8], limits: Limits = Limits()
    ) throws(DeviceError) -> PropertyList {
        guard bytes.count <= limits.bytes else { throw .propertyListTooLarge("bytes") }
        if bytes.starts(with: BinaryPropertyListReader.magic) {
            return try BinaryPropertyListReader.read(bytes, limits)
        }
        return try XMLPropertyListReader.read(bytes, limits)
    }

    /// The list in the binary form (version 00); the same list always gives the same bytes.
    package func encodeBinary() -> [UInt8] { BinaryPropertyListWriter.write(self) }

    /// The list as XML in UTF-8, keys in the order of their bytes. A `uid` becomes the dictionary
    /// that Apple's own tools write for it; a character that XML cannot hold becomes U+FFFD.
    package func encodeXML() -> [UInt8] { XMLPropertyListWriter.write(self) }
}

// MARK: - Asking for what should be there

extension PropertyList {
    /// The value of `key`; nil when there is none or this is no dictionary.
    package subscript(key: String) -> PropertyList? { entries?[key] }

    /// A dictionary's values by key.
    package var entries: [String: PropertyList]? {
        if case .dictionary(let entries) = self { entries } else { nil }
    }

    /// An array's values.
    package var items: [PropertyList]? {
        if case .array(let items) = self { items } else { nil }
    }

    /// A text; hostile when a phone sent it.
    package var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// Data.
    package var bytes: [UInt8]? {
        if case .data(let bytes) = self { bytes } else { nil }
    }

    /// A whole number that fits.
    package var number: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }

    /// A whole number that is not negative.
    package var unsignedNumber: UInt64? {
        switch self {
        case .integer(let number): UInt64(exactly: number)
        case .unsigned(let number): number
        default: nil
        }
    }

    /// A flag.
    package var flag: Bool? {
        if case .boolean(let flag) = self { flag } else { nil }
    }

    /// A date's seconds since 2001-01-01 UTC.
    package var date: Double? {
        if case .date(let seconds) = self { seconds } else { nil }
    }

    /// The number for `value`: what ``decode(_:limits:)`` would make of it.
    package static func number(_ value: UInt64) -> PropertyList {
        Int64(exactly: value).map(PropertyList.integer) ?? .unsigned(value)
    }
}

/// Counts what a list costs while it is read.
struct PropertyListBudget {
    private let limits: PropertyList.Limits
    private var elements = 0
    private var content = 0

    init(_ limits: PropertyList.Limits) { self.limits = limits }

    /// One more value, `depth` containers down.
    mutating func spendElement(depth: Int) throws(DeviceError) {
        elements += 1
        guard elements <= limits.elements else { throw .propertyListTooLarge("values") }
        guard depth <= limits.depth else { throw .propertyListTooLarge("levels") }
    }

    /// A text of `byteCount` bytes.
    mutating func spendText(_ byteCount: Int) throws(DeviceError) {
        guard byteCount <= limits.text else { throw .propertyListTooLarge("bytes in one text") }
        try spendData(byteCount)
    }

    /// Data of `byteCount` bytes, which is within the encoded list.
    mutating func spendData(_ byteCount: Int) throws(DeviceError) {
        content += byteCount
        guard content <= limits.bytes else { throw .propertyListTooLarge("bytes") }
    }
}

extension DeviceError {
    /// `what` completes "more … than".
    static func propertyListTooLarge(_ what: String) -> DeviceError {
        DeviceError(
            .limitExceeded, "The phone sent a property list with more \(what) than is sensible")
    }

    /// `what` completes "a property list".
    static func propertyListDamaged(_ what: String) -> DeviceError {
        DeviceError(.protocolViolation, "The phone sent a property list \(what)")
    }
}
