/// The ObjectInfo dataset (ISO 15740, 5.3.1).
package struct ObjectInfo: Equatable, Sendable {
    /// Storage that holds the object.
    package var storage: UInt32 = 0
    /// Format code.
    package var format = ObjectFormat.undefined
    /// Size in bytes; 0xFFFFFFFF from 4 GiB - 1 on.
    package var byteCount: UInt32 = 0
    /// Handle of the folder, 0 at the top.
    package var parent: UInt32 = 0
    /// File name in UTF-16 units.
    package var name: [UInt16] = []
    /// Date text of creation and of the last change.
    package var created: [UInt16] = []
    package var modified: [UInt16] = []

    /// An empty dataset.
    package init() {}

    /// Nil when the data ends before the file name.
    package init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let storage: UInt32 = reader.take(), let format: UInt16 = reader.take(),
            reader.take(UInt16.self) != nil, let size: UInt32 = reader.take(),
            reader.take(raw: 26) != nil, let parent: UInt32 = reader.take(),
            reader.take(raw: 10) != nil, let name = reader.takeUnits()
        else { return nil }
        self.storage = storage
        self.format = format
        self.byteCount = size
        self.parent = parent
        self.name = name
        // Hosts may leave the dates out (libmtp packs none).
        created = reader.takeUnits() ?? []
        modified = reader.takeUnits() ?? []
    }

    /// The dataset as a responder sends it.
    package var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.put(storage)
        writer.put(format)
        writer.put(UInt16(0))
        writer.put(byteCount)
        writer.put(raw: repeatElement(0, count: 26))
        writer.put(parent)
        writer.put(UInt16(format == ObjectFormat.association ? 1 : 0))
        writer.put(raw: repeatElement(0, count: 8))
        writer.put(units: name)
        writer.put(units: created)
        writer.put(units: modified)
        writer.put(units: [])
        return writer.bytes
    }
}
