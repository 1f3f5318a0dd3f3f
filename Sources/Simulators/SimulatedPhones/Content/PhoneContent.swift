/// What one storage of a phone holds. The responder's thread calls it, and nobody else.
package protocol PhoneContent: Sendable {
    /// Whether hosts may add, rename and delete.
    var isWritable: Bool { get }
    /// Size of the storage and what is free, in bytes.
    var space: (capacity: UInt64, free: UInt64) { get }
    /// The entries of a folder; `ContentTree.root` is the top.
    func children(of folder: UInt64) throws(ContentProblem) -> [ContentEntry]
    /// Opens a file's bytes.
    func open(_ node: UInt64) throws(ContentProblem) -> any ContentReader
    /// Makes an empty folder or file and returns its entry.
    func make(named name: [UInt16], in folder: UInt64, isFolder: Bool) throws(ContentProblem)
        -> ContentEntry
    /// Opens a file made by `make` for writing.
    func write(_ node: UInt64) throws(ContentProblem) -> any ContentWriter
    /// Deletes an entry with all below it.
    func remove(_ node: UInt64) throws(ContentProblem)
    /// Gives an entry another name within its folder.
    func rename(_ node: UInt64, to name: [UInt16]) throws(ContentProblem)
}

/// Numbers every content gives its nodes by.
package enum ContentTree {
    /// The top folder of a storage.
    package static let root: UInt64 = 0
}

/// A refusal, with the response the host gets.
package struct ContentProblem: Error, Equatable, Sendable {
    /// PTP response code.
    package var response: UInt16

    /// A refusal with any response code.
    package init(code: UInt16) {
        response = code
    }

    /// A refusal with a known response.
    package init(_ response: PTPResponse) {
        self.response = response.rawValue
    }
}

/// Bytes of one file.
package protocol ContentReader: AnyObject {
    /// How many bytes there are.
    var byteCount: UInt64 { get }
    /// Writes `count` bytes from `offset` of the file into the buffer from `index` on; false
    /// when they cannot be read.
    func read(at offset: UInt64, count: Int, into buffer: inout [UInt8], at index: Int) -> Bool
}

/// A file under construction.
package protocol ContentWriter: AnyObject {
    /// Appends bytes; false when the storage refuses.
    func append(_ bytes: ArraySlice<UInt8>) -> Bool
    /// Closes the file and sets its date, when there is one (seconds since 1970).
    func finish(modified: Int64?)
    /// Drops what was written.
    func discard()
}

/// One entry of a folder as the phone announces it.
package struct ContentEntry: Sendable {
    /// Number of the node within its content; two entries may share one (a cycle).
    package var node: UInt64
    /// File name in UTF-16 units, valid or not.
    package var name: [UInt16]
    /// Whether it is a folder.
    package var isFolder: Bool
    /// Announced size in bytes.
    package var byteCount: UInt64
    /// Last change, seconds since 1970.
    package var modified: Int64
    /// Deliberate misbehaviour.
    package var quirks = EntryQuirks()

    /// An entry that behaves.
    package init(
        node: UInt64, name: [UInt16], isFolder: Bool, byteCount: UInt64, modified: Int64
    ) {
        self.node = node
        self.name = name
        self.isFolder = isFolder
        self.byteCount = byteCount
        self.modified = modified
    }
}

/// How an entry misbehaves on purpose; nil and 0 mean that it does not.
package struct EntryQuirks: Sendable, Equatable {
    /// Response of GetObjectInfo and of the properties instead of an answer.
    package var infoResponse: UInt16?
    /// Response of GetObject and GetPartialObject instead of data.
    package var readResponse: UInt16?
    /// For folders: response of a listing.
    package var listResponse: UInt16?
    /// For folders: what GetNumObjects adds to the truth.
    package var countOffset: Int = 0
    /// Length that the head of the data phase announces, in bytes, instead of the real one.
    package var dataLength: UInt64?
    /// GetObject stops answering for ever after this many bytes of the file.
    package var stallAfter: UInt64?
    /// GetObject ends its data phase after this many bytes of the file.
    package var endAfter: UInt64?

    /// An entry that behaves.
    package init() {}
}

extension PhoneContent {
    package var isWritable: Bool { false }

    package func make(
        named name: [UInt16], in folder: UInt64, isFolder: Bool
    ) throws(ContentProblem) -> ContentEntry {
        throw ContentProblem(.storeReadOnly)
    }

    package func write(_ node: UInt64) throws(ContentProblem) -> any ContentWriter {
        throw ContentProblem(.storeReadOnly)
    }

    package func remove(_ node: UInt64) throws(ContentProblem) {
        throw ContentProblem(.storeReadOnly)
    }

    package func rename(_ node: UInt64, to name: [UInt16]) throws(ContentProblem) {
        throw ContentProblem(.storeReadOnly)
    }
}
