extension MTPResponder {
    func deviceInfo() -> [UInt8] {
        var writer = ByteWriter()
        writer.put(UInt16(100))
        writer.put(UInt32(6))
        writer.put(UInt16(100))
        writer.put(text: options.extensions)
        writer.put(UInt16(0))
        writer.put(array: PTPOperation.allCases.map(\.rawValue))
        writer.put(
            array: [
                PTPEvent.objectAdded, .objectRemoved, .storeAdded, .storeRemoved,
                .devicePropChanged,
            ].map(\.rawValue))
        writer.put(array: DeviceProperty.allCases.map(\.rawValue))
        writer.put(array: [UInt16]())
        writer.put(array: ObjectFormat.supported)
        writer.put(text: options.identity.manufacturer)
        writer.put(text: options.identity.model)
        writer.put(text: "1.0")
        writer.put(text: options.identity.serial)
        return writer.bytes
    }

    /// Index of a visible storage.
    func storageIndex(_ id: UInt32) throws(ContentProblem) -> Int {
        guard let index = board.ids.firstIndex(of: id) else {
            throw ContentProblem(.invalidStorageID)
        }
        return index
    }

    func storageInfo(_ command: Command) throws(ContentProblem) -> Answer {
        let storage = storages[try storageIndex(command.parameter(0))]
        let space = storage.content.space
        var writer = ByteWriter()
        writer.put(UInt16(storage.isRemovable ? 4 : 3))
        writer.put(UInt16(2))
        writer.put(UInt16(storage.content.isWritable ? 0 : 1))
        writer.put(space.capacity)
        writer.put(space.free)
        writer.put(UInt32(0xFFFF_FFFF))
        writer.put(text: storage.name)
        writer.put(text: "")
        return .data(writer.bytes)
    }

    func object(_ handle: UInt32) throws(ContentProblem) -> ObjectTable.Object {
        guard let object = table[handle] else { throw ContentProblem(.invalidObjectHandle) }
        return object
    }

    /// The entries of a folder or, for handle 0, of a storage's top, with their handles.
    func list(
        _ folder: UInt32, storage: Int
    ) throws(ContentProblem) -> [ObjectTable.Object] {
        var node = ContentTree.root
        if folder != 0 {
            let object = try object(folder)
            guard object.entry.isFolder else { throw ContentProblem(.invalidParentObject) }
            if let response = object.entry.quirks.listResponse {
                throw ContentProblem(code: response)
            }
            node = object.entry.node
        }
        var objects: [ObjectTable.Object] = []
        for entry in try storages[storage].content.children(of: node) {
            objects.append(table.enter(entry, storage: storage, parent: folder))
        }
        pause(link.model.perObject * objects.count)
        return objects
    }

    /// Objects as GetObjectHandles selects them (Android's MtpStorageManager.getObjects):
    /// parent 0 is everything below the top, 0xFFFFFFFF the top alone.
    func select(
        storage id: UInt32, parent: UInt32
    ) throws(ContentProblem) -> [ObjectTable.Object] {
        guard !board.ids.isEmpty else { throw ContentProblem(.invalidStorageID) }
        var indices = Array(board.ids.indices)
        if id != 0xFFFF_FFFF { indices = [try storageIndex(id)] }
        if parent != 0, parent != 0xFFFF_FFFF {
            return try list(parent, storage: try object(parent).storage)
        }
        var found: [ObjectTable.Object] = []
        for index in indices {
            found += try list(0, storage: index)
        }
        if parent == 0 { found = descend(from: found) }
        return found
    }

    /// All objects below; folders met before are not entered again.
    private func descend(from top: [ObjectTable.Object]) -> [ObjectTable.Object] {
        var found = top
        var seen: Set<UInt32> = []
        var next = 0
        while next < found.count, found.count < 5_000_000 {
            let object = found[next]
            next += 1
            guard object.entry.isFolder, seen.insert(object.handle).inserted else { continue }
            // A folder that refuses has nothing to show here, as on Android.
            found += (try? list(object.handle, storage: object.storage)) ?? []
        }
        return found
    }

    private func matching(_ command: Command) throws(ContentProblem) -> [ObjectTable.Object] {
        let format = command.parameter(1)
        return try select(storage: command.parameter(0), parent: command.parameter(2))
            .filter { format == 0 || UInt32(self.format(of: $0)) == format }
    }

    func objectHandles(_ command: Command) throws(ContentProblem) -> Answer {
        var writer = ByteWriter()
        writer.put(array: try matching(command).map(\.handle))
        return .data(writer.bytes)
    }

    func objectCount(_ command: Command) throws(ContentProblem) -> Answer {
        let count = try matching(command).count
        let offset = table[command.parameter(2)]?.entry.quirks.countOffset ?? 0
        return Answer(
            code: PTPResponse.ok.rawValue, parameters: [UInt32(clamping: count + offset)])
    }

    func format(of object: ObjectTable.Object) -> UInt16 {
        object.entry.isFolder
            ? ObjectFormat.association : ObjectFormat.ofFile(named: object.entry.name)
    }

    func dateUnits(_ object: ObjectTable.Object) -> [UInt16] {
        Array(PTPDate.text(unixSeconds: object.entry.modified, zone: options.zone).utf16)
    }

    func objectInfo(_ command: Command) throws(ContentProblem) -> Answer {
        let object = try object(command.parameter(0))
        if let response = object.entry.quirks.infoResponse { throw ContentProblem(code: response) }
        var info = ObjectInfo()
        info.storage = board.ids[object.storage]
        info.format = format(of: object)
        info.byteCount = UInt32(clamping: object.entry.byteCount)
        info.parent = object.parent
        info.name = object.entry.name
        info.created = dateUnits(object)
        info.modified = dateUnits(object)
        return .data(info.bytes)
    }

    func references(_ command: Command) throws(ContentProblem) -> Answer {
        _ = try object(command.parameter(0))
        var writer = ByteWriter()
        writer.put(array: [UInt32]())
        return .data(writer.bytes)
    }
}
