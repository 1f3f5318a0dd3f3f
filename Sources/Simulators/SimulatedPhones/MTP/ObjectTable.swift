/// The handles a host was given: allocated as folders are visited, valid until the storages
/// change (Android's MtpStorageManager).
struct ObjectTable {
    struct Object {
        let handle: UInt32
        let storage: Int
        let parent: UInt32
        var entry: ContentEntry
    }

    private struct Key: Hashable {
        let storage: Int
        let node: UInt64
    }

    private(set) var objects: [UInt32: Object] = [:]
    private var handles: [Key: UInt32] = [:]
    private var next: UInt32 = 1

    subscript(handle: UInt32) -> Object? { objects[handle] }

    /// The handle of an entry below `parent`, allocated at the first sight. A node seen twice
    /// keeps its handle, which is how a folder cycle shows.
    mutating func enter(_ entry: ContentEntry, storage: Int, parent: UInt32) -> Object {
        let key = Key(storage: storage, node: entry.node)
        let handle = handles[key] ?? next
        if handle == next {
            next += 1
            handles[key] = handle
        }
        let object = Object(
            handle: handle, storage: storage, parent: objects[handle]?.parent ?? parent,
            entry: entry)
        objects[handle] = object
        return object
    }

    mutating func remove(_ handle: UInt32) {
        guard let object = objects.removeValue(forKey: handle) else { return }
        handles[Key(storage: object.storage, node: object.entry.node)] = nil
        for child in objects.values where child.parent == handle { remove(child.handle) }
    }

    /// Path below the storage with the storage's index in front, for counters.
    func path(of object: Object) -> String {
        var parts: [String] = []
        var at: Object? = object
        // A cycle of parents must not hang the simulator.
        while let current = at, parts.count < 256 {
            parts.append(String(decoding: current.entry.name, as: UTF16.self))
            at = current.parent == 0 ? nil : objects[current.parent]
        }
        return "\(object.storage):" + parts.reversed().joined(separator: "/")
    }
}
