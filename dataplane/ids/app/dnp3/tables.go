package dnp3

// functions are the names of function codes (IEEE 1815 section 4.4).
var functions = func() map[string]byte {
	m := map[string]byte{"response": 129, "unsolicited_response": 130, "authenticate_resp": 131}
	for i, name := range []string{
		"confirm", "read", "write", "select", "operate", "direct_operate", "direct_operate_nr", "immed_freeze", "immed_freeze_nr",
		"freeze_clear", "freeze_clear_nr", "freeze_at_time", "freeze_at_time_nr", "cold_restart", "warm_restart", "initialize_data",
		"initialize_appl", "start_appl", "stop_appl", "save_config", "enable_unsolicited", "disable_unsolicited", "assign_class",
		"delay_measure", "record_current_time", "open_file", "close_file", "delete_file", "get_file_info", "authenticate_file",
		"abort_file", "activate_config", "authenticate_req", "authenticate_err",
	} {
		m[name] = byte(i)
	}
	return m
}()

// indicatorBits are the internal indications, the first byte the high one.
var indicatorBits = map[string]int{
	"all_stations": 0x0100, "class_1_events": 0x0200, "class_2_events": 0x0400, "class_3_events": 0x0800, "need_time": 0x1000,
	"local_control": 0x2000, "device_trouble": 0x4000, "device_restart": 0x8000, "no_func_code_support": 0x0001, "object_unknown": 0x0002,
	"parameter_error": 0x0004, "event_buffer_overflow": 0x0008, "already_executing": 0x0010, "config_corrupt": 0x0020,
	"reserved_2": 0x0040, "reserved_1": 0x0080,
}

// emptyGroups are those whose headers have no data: classes.
var emptyGroups = map[byte]bool{60: true}

// sizes are the bytes of a point; a negative number is bits.
var sizes = map[object]int{
	{1, 1}: -1, {1, 2}: 1, {2, 1}: 1, {2, 2}: 7, {2, 3}: 3, {3, 1}: -2, {3, 2}: 1, {4, 1}: 1, {4, 2}: 7, {4, 3}: 3,
	{10, 1}: -1, {10, 2}: 1, {11, 1}: 1, {11, 2}: 7, {12, 1}: 11, {12, 2}: 11, {12, 3}: -1, {13, 1}: 1, {13, 2}: 7,
	{20, 1}: 5, {20, 2}: 3, {20, 3}: 5, {20, 4}: 3, {20, 5}: 4, {20, 6}: 2, {20, 7}: 4, {20, 8}: 2,
	{21, 1}: 5, {21, 2}: 3, {21, 3}: 5, {21, 4}: 3, {21, 5}: 11, {21, 6}: 9, {21, 7}: 11, {21, 8}: 9, {21, 9}: 4, {21, 10}: 2,
	{21, 11}: 4, {21, 12}: 2, {22, 1}: 5, {22, 2}: 3, {22, 3}: 5, {22, 4}: 3, {22, 5}: 11, {22, 6}: 9, {22, 7}: 11, {22, 8}: 9,
	{23, 1}: 5, {23, 2}: 3, {23, 3}: 5, {23, 4}: 3, {23, 5}: 11, {23, 6}: 9, {23, 7}: 11, {23, 8}: 9,
	{30, 1}: 5, {30, 2}: 3, {30, 3}: 4, {30, 4}: 2, {30, 5}: 5, {30, 6}: 9, {31, 1}: 5, {31, 2}: 3, {31, 3}: 11, {31, 4}: 9, {31, 5}: 4,
	{31, 6}: 2, {31, 7}: 5, {31, 8}: 9, {32, 1}: 5, {32, 2}: 3, {32, 3}: 11, {32, 4}: 9, {32, 5}: 5, {32, 6}: 9, {32, 7}: 11, {32, 8}: 15,
	{33, 1}: 5, {33, 2}: 3, {33, 3}: 11, {33, 4}: 9, {33, 5}: 5, {33, 6}: 9, {33, 7}: 11, {33, 8}: 15, {34, 1}: 2, {34, 2}: 4, {34, 3}: 4,
	{40, 1}: 5, {40, 2}: 3, {40, 3}: 5, {40, 4}: 9, {41, 1}: 5, {41, 2}: 3, {41, 3}: 5, {41, 4}: 9, {42, 1}: 5, {42, 2}: 3, {42, 3}: 11,
	{42, 4}: 9, {42, 5}: 5, {42, 6}: 9, {42, 7}: 11, {42, 8}: 15, {43, 1}: 5, {43, 2}: 3, {43, 3}: 11, {43, 4}: 9, {43, 5}: 5, {43, 6}: 9,
	{43, 7}: 11, {43, 8}: 15, {50, 1}: 6, {50, 2}: 10, {50, 3}: 6, {50, 4}: 11, {51, 1}: 6, {51, 2}: 6, {52, 1}: 2, {52, 2}: 2,
	{60, 1}: 0, {60, 2}: 0, {60, 3}: 0, {60, 4}: 0, {80, 1}: -1, {81, 1}: 3, {86, 2}: 1, {102, 1}: 1,
}
