extension MTPResponder {
    /// GetObject and both forms of GetPartialObject: the data phase streams from the content.
    func sendObjectData(_ command: Command) throws(LinkInterruption) -> Answer {
        let object: ObjectTable.Object
        let reader: any ContentReader
        do throws(ContentProblem) {
            object = try self.object(command.parameter(0))
            if let response = object.entry.quirks.readResponse {
                throw ContentProblem(code: response)
            }
            guard !object.entry.isFolder else { throw ContentProblem(.invalidObjectHandle) }
            reader = try storages[object.storage].content.open(object.entry.node)
        } catch {
            return Answer(code: error.response)
        }
        pause(link.model.perObject)
        let range = wantedRange(command, of: reader.byteCount)
        let path = table.path(of: object)
        // Opening counts as reading even when the file is empty.
        state.count { $0.bytesRead[path, default: 0] += 0 }
        let quirks = object.entry.quirks
        var head = PTPContainer(
            dataFor: command.operation.rawValue, transaction: command.transaction,
            byteCount: quirks.dataLength ?? UInt64(range.count)
        ).bytes
        // Android sends file data with a length that says "until a short packet" from 4 GiB on.
        if head.count != PTPContainer.headSize { head = [] }
        let end = min(UInt64(range.count), quirks.endAfter ?? .max)
        let isWhole = try streamFile(
            reader, head: head, from: range.lowerBound, count: end, path: path,
            stallAfter: quirks.stallAfter)
        guard isWhole else { return .failed(.generalError) }
        var answer = Answer.ok
        if command.operation != .getObject {
            answer.parameters = [UInt32(clamping: range.count)]
        }
        return answer
    }

    private func wantedRange(_ command: Command, of byteCount: UInt64) -> Range<UInt64> {
        var start: UInt64 = 0
        var count = byteCount
        switch command.operation {
        case .getPartialObject:
            start = UInt64(command.parameter(1))
            count = UInt64(command.parameter(2))
        case .getPartialObject64:
            start = UInt64(command.parameter(1)) | UInt64(command.parameter(2)) << 32
            count = UInt64(command.parameter(3))
        default: break
        }
        start = min(start, byteCount)
        return start..<(start + min(count, byteCount - start))
    }

    /// False when the content could not be read to its end.
    private func streamFile(
        _ reader: any ContentReader, head: [UInt8], from start: UInt64, count: UInt64,
        path: String, stallAfter: UInt64?
    ) throws(LinkInterruption) -> Bool {
        var isWhole = true
        let headSize = UInt64(head.count)
        try stream(total: headSize + count) { offset, wanted, buffer, index in
            var done = 0
            while done < wanted, offset + UInt64(done) < headSize {
                buffer[index + done] = head[Int(offset) + done]
                done += 1
            }
            guard done < wanted else { return }
            let place = offset + UInt64(done) - headSize
            if let stallAfter, place + UInt64(wanted - done) > stallAfter {
                self.link.setFrozen(true)
            }
            if !reader.read(
                at: start + place, count: wanted - done, into: &buffer, at: index + done)
            {
                isWhole = false
            }
            self.state.count { $0.bytesRead[path, default: 0] += UInt64(wanted - done) }
        }
        return isWhole
    }

    // MARK: writing

    /// A file announced by SendObjectInfo whose bytes are still to come.
    struct Upload {
        let object: ObjectTable.Object
        let writer: (any ContentWriter)?
        let byteCount: UInt32
        let modified: Int64?
    }

    /// Names Android refuses: empty, with a slash, or the two that mean folders.
    func isAcceptable(_ name: [UInt16]) -> Bool {
        let text = String(decoding: name, as: UTF16.self)
        return !name.isEmpty && !name.contains(0x2F) && !name.contains(0) && text != "."
            && text != ".." && text.utf8.count <= 255
    }

    func acceptObjectInfo(_ command: Command) throws(ContentProblem) -> Answer {
        dropUpload()
        guard let info = ObjectInfo(command.data) else { return .failed(.invalidParameter) }
        let storage = try storageIndex(command.parameter(0))
        var parent = command.parameter(1)
        if parent == 0xFFFF_FFFF { parent = 0 }
        var node = ContentTree.root
        if parent != 0 {
            guard let folder = table[parent], folder.entry.isFolder else {
                return .failed(.invalidParentObject)
            }
            node = folder.entry.node
        }
        let content = storages[storage].content
        guard content.isWritable else { return .failed(.storeReadOnly) }
        guard isAcceptable(info.name) else { return .failed(.invalidParameter) }
        let isFolder = info.format == ObjectFormat.association
        if !isFolder, info.byteCount != 0xFFFF_FFFF, UInt64(info.byteCount) > content.space.free {
            return .failed(.storeFull)
        }
        let entry = try content.make(named: info.name, in: node, isFolder: isFolder)
        let object = table.enter(entry, storage: storage, parent: parent)
        if !isFolder {
            upload = Upload(
                object: object, writer: try content.write(entry.node), byteCount: info.byteCount,
                modified: PTPDate.unixSeconds(of: info.modified, zone: options.zone))
        }
        return Answer(
            code: PTPResponse.ok.rawValue,
            parameters: [command.parameter(0), command.parameter(1), object.handle])
    }

    /// SendObject: takes the data phase as it comes and writes it to the announced file.
    func receiveObject(_ transaction: UInt32) throws(LinkInterruption) -> Answer {
        var bytes = try link.receive()
        guard let head = PTPContainer(bytes), head.kind == .data else {
            return .failed(.noValidObjectInfo)
        }
        let isOpenEnded = head.length == 0xFFFF_FFFF
        var rest = isOpenEnded ? UInt64.max : UInt64(head.length)
        var skip = PTPContainer.headSize
        var isWritten = true
        var received: UInt64 = 0
        while true {
            rest -= min(rest, UInt64(bytes.count))
            let data = bytes.dropFirst(skip)
            skip = 0
            received += UInt64(data.count)
            if let writer = upload?.writer, isWritten { isWritten = writer.append(data) }
            if rest == 0 { break }
            if isOpenEnded, bytes.count % link.packetSize != 0 || bytes.isEmpty { break }
            bytes = try link.receive()
        }
        return finishUpload(isWritten: isWritten, received: received)
    }

    private func finishUpload(isWritten: Bool, received: UInt64) -> Answer {
        guard let upload, session != nil else { return .failed(.noValidObjectInfo) }
        guard isWritten else {
            dropUpload()
            table.remove(upload.object.handle)
            return .failed(.storeFull)
        }
        if upload.byteCount != 0xFFFF_FFFF, received != UInt64(upload.byteCount) {
            dropUpload()
            table.remove(upload.object.handle)
            return .failed(.incompleteTransfer)
        }
        upload.writer?.finish(modified: upload.modified)
        var entry = upload.object.entry
        entry.byteCount = received
        if let modified = upload.modified { entry.modified = modified }
        _ = table.enter(entry, storage: upload.object.storage, parent: upload.object.parent)
        self.upload = nil
        return .ok
    }

    func deleteObject(_ command: Command) throws(ContentProblem) -> Answer {
        let object = try object(command.parameter(0))
        try storages[object.storage].content.remove(object.entry.node)
        table.remove(object.handle)
        return .ok
    }
}
