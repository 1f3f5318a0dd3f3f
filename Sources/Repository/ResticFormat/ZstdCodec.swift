internal import CZstd

/// Compresses and decompresses whole zstd frames. This is the only file that knows libzstd.
///
/// It holds libzstd's contexts and is therefore for one thread at a time.
@safe
package final class ZstdCodec {
    /// The level everything is compressed with: databases, the one compressible thing of weight on
    /// phones, are within 1 % of what level 3 makes of them, in two thirds of its time. Figures:
    /// docs/decisions/0023-compression-level.md.
    package static var level: Int { 2 }

    // Owned: made in init, freed in deinit, never shared.
    private let compressor: OpaquePointer
    private let decompressor: OpaquePointer
    // Owned: room for one frame, freed in deinit.
    private var frameRoom = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var step: [UInt8] = []
    private var frameIsOpen = false

    /// Frames of larger content get room of their own that is not kept.
    private static var keptRoom: Int { ZSTD_compressBound(Chunker.maximum) }

    /// A codec; it ends the process when there is no memory for libzstd's contexts.
    package init(level: Int = ZstdCodec.level) {
        guard let compressor = unsafe ZSTD_createCCtx(),
            let decompressor = unsafe ZSTD_createDCtx()
        else { fatalError("libzstd: out of memory") }
        unsafe self.compressor = unsafe compressor
        unsafe self.decompressor = unsafe decompressor
        // Parameters within libzstd's bounds cannot fail; it clamps the level itself.
        _ = unsafe ZSTD_CCtx_setParameter(
            compressor, ZSTD_c_compressionLevel, Int32(clamping: level))
        // SHA-256 names the content, so a checksum would only cost four bytes.
        _ = unsafe ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 0)
        _ = unsafe ZSTD_CCtx_setParameter(compressor, ZSTD_c_contentSizeFlag, 1)
    }

    deinit {
        unsafe ZSTD_freeCCtx(compressor)
        unsafe ZSTD_freeDCtx(decompressor)
        unsafe frameRoom.deallocate()
    }

    /// `plain` as one frame that tells its content size.
    package func compress(_ plain: UnsafeRawBufferPointer) -> [UInt8] {
        let bound = ZSTD_compressBound(plain.count)
        return unsafe [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            // The capacity is libzstd's own bound, so the frame always fits.
            let size = unsafe ZSTD_compress2(
                compressor, buffer.baseAddress, bound, plain.baseAddress, plain.count)
            guard ZSTD_isError(size) == 0 else { fatalError("libzstd: cannot compress") }
            count = size
        }
    }

    /// `plain` as one frame.
    package func compress(_ plain: [UInt8]) -> [UInt8] {
        // The array lends its storage for the call.
        unsafe plain.withUnsafeBytes { unsafe compress($0) }
    }

    /// Lends `body` the frame of `plain` when it is at least 2 % smaller, else nil: what shrinks
    /// less is kept as it is, because every read of it would pay for the frame.
    ///
    /// The room for the frame is used again by the next call.
    package func withFrameIfSmaller<Value>(
        of plain: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) -> Value
    ) -> Value {
        let bound = ZSTD_compressBound(plain.count)
        if unsafe frameRoom.count < bound {
            unsafe frameRoom.deallocate()
            let count = max(bound, min(Self.keptRoom, 2 * bound))
            unsafe frameRoom = .allocate(byteCount: count, alignment: 16)
        }
        defer {
            if unsafe frameRoom.count > Self.keptRoom {
                unsafe frameRoom.deallocate()
                unsafe frameRoom = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            }
        }
        // Both buffers are valid for the counts given; the room is libzstd's own bound at least.
        let size = unsafe ZSTD_compress2(
            compressor, frameRoom.baseAddress, bound, plain.baseAddress, plain.count)
        guard ZSTD_isError(size) == 0 else { fatalError("libzstd: cannot compress") }
        guard size <= plain.count - plain.count / 50 - 1 else { return body(nil) }
        return unsafe body(UnsafeRawBufferPointer(rebasing: frameRoom[..<size]))
    }

    /// A copy of the frame of `plain` when it is at least 2 % smaller, else nil.
    package func compressedIfSmaller(_ plain: UnsafeRawBufferPointer) -> [UInt8]? {
        // The frame is copied while it is lent.
        unsafe withFrameIfSmaller(of: plain) { unsafe $0.map { unsafe Array($0) } }
    }

    /// A copy of the frame of `plain` when it is at least 2 % smaller, else nil.
    package func compressedIfSmaller(_ plain: [UInt8]) -> [UInt8]? {
        // The array lends its storage for the call.
        unsafe plain.withUnsafeBytes { unsafe compressedIfSmaller($0) }
    }

    /// The content of the frames in `frame`, at most `limit` bytes.
    ///
    /// A frame that announces more is refused before anything is allocated; one that announces
    /// nothing is decompressed step by step and given up at the limit. `limitExceeded` or
    /// `malformed`.
    package func decompress(
        _ frame: UnsafeRawBufferPointer, limit: Int
    ) throws(FormatError) -> [UInt8] {
        // Reads at most `count` bytes of the lent buffer.
        let announced = unsafe ZSTD_getFrameContentSize(frame.baseAddress, frame.count)
        guard announced != holdfast_zstd_size_error() else {
            throw .malformed("no zstd frame")
        }
        guard announced != holdfast_zstd_size_unknown() else {
            return try unsafe decompressInSteps(frame, limit: limit)
        }
        guard announced <= UInt64(limit) else {
            throw FormatError(
                .limitExceeded, "a zstd frame announces \(announced) of at most \(limit) bytes")
        }
        // 128 KiB from a four-byte block is the most that zstd can inflate (RFC 8878, 3.1.1.2), so
        // a small frame cannot make us allocate much more than it could fill.
        guard announced / (128 << 10) <= UInt64(frame.count) else {
            throw .malformed("a zstd frame is too short for its content")
        }
        return try unsafe decompressAtOnce(frame, size: Int(announced))
    }

    /// The content of `frame`, at most `limit` bytes.
    package func decompress(_ frame: [UInt8], limit: Int) throws(FormatError) -> [UInt8] {
        try decompress(frame[...], limit: limit)
    }

    /// The content of `frame`, at most `limit` bytes.
    package func decompress(
        _ frame: ArraySlice<UInt8>, limit: Int
    ) throws(FormatError) -> [UInt8] {
        // The slice lends its storage for the call.
        try unsafe frame.withUnsafeBufferPointer { bytes throws(FormatError) in
            try unsafe decompress(UnsafeRawBufferPointer(bytes), limit: limit)
        }
    }

    /// Begins a frame whose bytes come in pieces.
    package func beginFrame() {
        _ = unsafe ZSTD_DCtx_reset(decompressor, ZSTD_reset_session_only)
        frameIsOpen = true
        if step.isEmpty { step = [UInt8](repeating: 0, count: ZSTD_DStreamOutSize()) }
    }

    /// Takes the frame's next bytes and lends what they decompress to, in pieces; `malformed`, or
    /// what `take` throws.
    ///
    /// It needs memory for the frame's window only. The caller bounds what it keeps.
    package func decompress(
        next piece: UnsafeRawBufferPointer,
        _ take: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        var input = unsafe ZSTD_inBuffer(src: piece.baseAddress, size: piece.count, pos: 0)
        while true {
            guard frameIsOpen else { throw .malformed("bytes follow a zstd frame") }
            let before = unsafe input.pos
            // The step's storage is lent for the call and libzstd keeps within its size.
            let (status, written) = try unsafe step.withUnsafeMutableBufferPointer {
                buffer throws(FormatError) in
                var output = unsafe ZSTD_outBuffer(
                    dst: buffer.baseAddress, size: buffer.count, pos: 0)
                let status = unsafe ZSTD_decompressStream(decompressor, &output, &input)
                try unsafe take(
                    UnsafeRawBufferPointer(start: buffer.baseAddress, count: output.pos))
                return unsafe (status, output.pos)
            }
            guard ZSTD_isError(status) == 0 else { throw .malformed("a zstd frame is damaged") }
            frameIsOpen = status != 0
            let isUsedUp = unsafe input.pos == piece.count
            if isUsedUp, !frameIsOpen || written < step.count { return }
            if written == 0, unsafe input.pos == before {
                throw .malformed("a zstd frame cannot be read")
            }
        }
    }

    /// Holds that the frame was whole; `malformed`.
    package func endFrame() throws(FormatError) {
        guard !frameIsOpen else { throw .malformed("a zstd frame ends early") }
    }

    private func decompressAtOnce(
        _ frame: UnsafeRawBufferPointer, size: Int
    ) throws(FormatError) -> [UInt8] {
        var failed = false
        let content = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            // libzstd writes at most `size` bytes and says how many.
            let written = unsafe ZSTD_decompressDCtx(
                decompressor, buffer.baseAddress, size, frame.baseAddress, frame.count)
            failed = ZSTD_isError(written) != 0
            count = failed ? 0 : written
        }
        guard !failed else { throw .malformed("a zstd frame is damaged") }
        return content
    }

    private func decompressInSteps(
        _ frame: UnsafeRawBufferPointer, limit: Int
    ) throws(FormatError) -> [UInt8] {
        _ = unsafe ZSTD_DCtx_reset(decompressor, ZSTD_reset_session_only)
        var input = unsafe ZSTD_inBuffer(src: frame.baseAddress, size: frame.count, pos: 0)
        var content: [UInt8] = []
        var step = [UInt8](repeating: 0, count: ZSTD_DStreamOutSize())
        while true {
            let before = unsafe input.pos
            var written = 0
            // The step's storage is lent for the call and libzstd keeps within its size.
            let status = unsafe step.withUnsafeMutableBytes { buffer in
                var output = unsafe ZSTD_outBuffer(
                    dst: buffer.baseAddress, size: buffer.count, pos: 0)
                let status = unsafe ZSTD_decompressStream(decompressor, &output, &input)
                written = unsafe output.pos
                return status
            }
            guard ZSTD_isError(status) == 0 else { throw .malformed("a zstd frame is damaged") }
            guard content.count + written <= limit else {
                throw FormatError(.limitExceeded, "a zstd frame holds more than \(limit) bytes")
            }
            content.append(contentsOf: step[..<written])
            if status == 0, unsafe input.pos == frame.count { return content }
            if written == 0, unsafe input.pos == before {
                throw .malformed("a zstd frame ends early")
            }
        }
    }
}
