/// Bytes of a repository that are not what the format allows.
package struct FormatError: Error, Hashable, CustomStringConvertible {
    /// The kinds callers decide on.
    package enum Code: String, Sendable {
        /// The bytes do not follow the format.
        case malformed
        /// The authentication code does not fit: wrong key, or changed bytes.
        case notAuthentic
        /// A count, size or depth passes a limit of ours.
        case limitExceeded
        /// Well formed, but of a version or kind this program does not know.
        case unsupported
    }

    /// What callers decide on.
    package let code: Code
    /// What is wrong, for people, without a final stop; harmless text only.
    package let detail: String

    /// An error of `code`.
    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// The bytes do not follow the format.
    static func malformed(_ detail: String) -> FormatError { FormatError(.malformed, detail) }

    /// Kind and detail, for logs.
    package var description: String { "\(code.rawValue): \(detail)" }
}
